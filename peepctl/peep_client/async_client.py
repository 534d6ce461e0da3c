"""The client for asyncio: the same operations over a stream."""

import asyncio
import functools
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from peep_client.protocol import operations
from peep_client.protocol.commands import Request, request
from peep_client.protocol.errors import ConnectionLost, NotPeep, PeepError
from peep_client.protocol.operations import Dialogue, Operation
from peep_client.protocol.replies import MAX_REPLY_LINES, Reply, ReplyParser
from peep_client.transport import (
    CONNECT_SECONDS,
    QUIT_SECONDS,
    READ_OCTETS,
    SILENCE_SECONDS,
    address,
    hanging_up_on_failure,
)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _awaited(
    operation: Callable[Concatenate[Dialogue, _Arguments], Operation[_Result]],
) -> Callable[Concatenate["AsyncPeep", _Arguments], Coroutine[Any, Any, _Result]]:
    """Return the method that carries out `operation` and, awaited, returns its result."""

    async def run(self: "AsyncPeep", /, *arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        return await self._do(operation(self._dialogue, *arguments, **options))

    functools.update_wrapper(run, operation)
    return run


class AsyncPeep:
    """A connection to a PEEP server, opened by `async with` or `open`.

    The arguments are those of `Peep`, and the methods do and raise what those of `Peep` do. Tasks may share
    it: their operations run one after another. Cancelling one that is owed a reply ends the connection.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        *,
        tls: bool | ssl.SSLContext = False,
        connect_seconds: float = CONNECT_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        pipelining: bool | None = None,
        max_lines: int = MAX_REPLY_LINES,
    ) -> None:
        self._login = None if username is None else (username, password or "")
        if self._login is not None:
            request("a", *self._login)  # a name that cannot be sent costs no connection
        self._server = address(host, port, tls)
        self._connect_seconds = connect_seconds
        self._silence_seconds = silence_seconds
        self._pipelining = pipelining
        self._max_lines = max_lines
        self._begin_anew()
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, and log in if a user name was given; raises `CannotConnect` and `WrongLogin`.

        A connection that was lost can be opened again.
        """
        if self.is_open:
            return
        self._begin_anew()
        server = self._server
        try:
            async with asyncio.timeout(self._connect_seconds):
                self._stream = await asyncio.open_connection(
                    server.host,
                    server.port,
                    ssl=server.tls,
                    server_hostname=server.host if server.tls else None,
                )
        except OSError as error:
            raise server.refusal(error) from error
        try:
            if self._login is not None:
                await self.log_in(*self._login)
        except BaseException:
            self._hang_up()
            raise

    @property
    def is_open(self) -> bool:
        """Whether the connection has neither been closed nor been lost."""
        return self._stream is not None

    async def close(self) -> None:
        """Send `q` and close; closing twice does nothing."""
        if self._stream is None:
            return
        _, writer = self._stream
        with suppress(PeepError, TimeoutError):
            async with asyncio.timeout(QUIT_SECONDS):
                await self._do(operations.end())
        self._hang_up()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(QUIT_SECONDS):
                await writer.wait_closed()

    log_in = _awaited(operations.log_in)
    capabilities = _awaited(operations.capabilities)
    command = _awaited(operations.command)
    counters = _awaited(operations.counters)
    settings = _awaited(operations.settings)
    users = _awaited(operations.users)
    add_user = _awaited(operations.add_user)
    remove_user = _awaited(operations.remove_user)
    set_password = _awaited(operations.set_password)
    max_connections = _awaited(operations.max_connections)
    set_max_connections = _awaited(operations.set_max_connections)
    timeout = _awaited(operations.timeout)
    set_timeout = _awaited(operations.set_timeout)
    mail_directory = _awaited(operations.mail_directory)
    set_mail_directory = _awaited(operations.set_mail_directory)
    logged_in_users = _awaited(operations.logged_in_users)
    sessions = _awaited(operations.sessions)
    close_session = _awaited(operations.close_session)
    slow_downs = _awaited(operations.slow_downs)
    moves = _awaited(operations.moves)
    moved_users = _awaited(operations.moved_users)
    lift_slow_down = _awaited(operations.lift_slow_down)
    version = _awaited(operations.version)

    def _begin_anew(self) -> None:
        self._dialogue = Dialogue(self._pipelining)
        self._parser = ReplyParser(self._max_lines)

    async def _do(self, operation: Operation[_Result]) -> _Result:
        async with self._turn:
            with hanging_up_on_failure(self._hang_up, self._silence_seconds):
                try:
                    requests = next(operation)
                    while True:
                        requests = operation.send(await self._exchange(requests))
                except StopIteration as end:
                    result: _Result = end.value
                    return result

    async def _exchange(self, requests: Sequence[Request]) -> list[Reply]:
        if self._stream is None:
            raise ConnectionLost("the connection is closed")
        if self._parser.has_octets:
            raise NotPeep("the server sent more than was asked for")
        reader, writer = self._stream
        # One write: simple servers take one command a read.
        writer.write(b"".join([one.octets for one in requests]))
        return [await self._reply(reader, one) for one in requests]

    async def _reply(self, reader: asyncio.StreamReader, sent: Request) -> Reply:
        while (reply := self._parser.next_reply(sent.shape)) is None:
            async with asyncio.timeout(self._silence_seconds):
                octets = await reader.read(READ_OCTETS)
            if not octets:
                raise ConnectionLost("the server closed the connection")
            self._parser.feed(octets)
        return reply

    def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream[1].close()


connect_async = AsyncPeep
"""Reads better where a connection is made."""
