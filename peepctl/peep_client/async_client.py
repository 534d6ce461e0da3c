"""The client for asyncio: the same operations over a stream."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from peep_client.addresses import (
    CONNECT_SECONDS,
    QUIT_SECONDS,
    READ_OCTETS,
    SILENCE_SECONDS,
    Address,
    address,
)
from peep_client.protocol.commands import Request, request
from peep_client.protocol.dialogue import Dialogue, Operation
from peep_client.protocol.errors import ConnectionLost, NotPeep, PeepError, TimedOut
from peep_client.protocol.records import Capabilities, Counters, Session, Settings, SlowDown
from peep_client.protocol.replies import MAX_REPLY_LINES, Reply, ReplyParser

_Result = TypeVar("_Result")


class AsyncPeep:
    """A connection to a PEEP server, opened by `async with` or `open`. `connect_async` makes it.

    Tasks may share it: their operations follow one another. One that is cancelled while a reply is owed
    ends the connection. Methods raise as those of `Peep` do, and mean the same.
    """

    def __init__(
        self,
        server: Address,
        login: tuple[str, str] | None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        pipelining: bool | None = None,
        max_lines: int = MAX_REPLY_LINES,
    ) -> None:
        self._server = server
        self._login = login
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

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, and log in where a user name was given; raises `CannotConnect` and `WrongLogin`.

        A connection that was lost can be opened anew.
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
        """Whether the connection has neither been closed nor been given up."""
        return self._stream is not None

    async def close(self) -> None:
        """Say `q` and close; more than once does no harm."""
        if self._stream is None:
            return
        _, writer = self._stream
        with suppress(PeepError, TimeoutError):
            async with asyncio.timeout(QUIT_SECONDS):
                await self._do(self._dialogue.quit())
        self._hang_up()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(QUIT_SECONDS):
                await writer.wait_closed()

    async def log_in(self, username: str, password: str) -> None:
        """Log in as an administrator; raises `WrongLogin`."""
        await self._do(self._dialogue.log_in(username, password))

    async def capabilities(self) -> Capabilities:
        """Return what `cap?` tells, asked for once."""
        return await self._do(self._dialogue.capabilities())

    async def command(self, line: str, *, multi_line: bool | None = None) -> Reply:
        """Send a line as it is and return the reply, a negative one too; see `Peep.command`."""
        return await self._do(self._dialogue.command(line, multi_line=multi_line))

    async def counters(self) -> Counters:
        """Return all counters: in one exchange with a Peep that pipelines, else one after the other."""
        return await self._do(self._dialogue.counters())

    async def settings(self) -> Settings:
        """Return all settings."""
        return await self._do(self._dialogue.settings())

    async def users(self) -> list[str]:
        """Return the names of all POP3 users."""
        return await self._do(self._dialogue.lines("u?"))

    async def add_user(self, username: str, password: str) -> None:
        """Add a POP3 user; `NegativeReply` with code 3 when there is one of that name."""
        await self._do(self._dialogue.change("u+", username, password))

    async def remove_user(self, username: str) -> None:
        """Remove a POP3 user, not the mail; `NegativeReply` with code 4 when there is none."""
        await self._do(self._dialogue.change("u-", username))

    async def set_password(self, username: str, password: str) -> None:
        """Change a POP3 user's password; code 4 when there is none, `NotSupported` without `p=`."""
        await self._do(self._dialogue.set_password(username, password))

    async def max_connections(self) -> int:
        """Return how many POP3 connections may be open at one time."""
        return await self._do(self._dialogue.integer("c?"))

    async def set_max_connections(self, limit: int) -> None:
        """Limit the POP3 connections; code 5 when out of the range that `capabilities` tells."""
        await self._do(self._dialogue.change("c=", limit))

    async def timeout(self) -> int:
        """Return after how many seconds of silence a POP3 session ends, mostly 0 for never."""
        return await self._do(self._dialogue.integer("t?"))

    async def set_timeout(self, seconds: int) -> None:
        """Set that time; code 7 when out of the range that `capabilities` tells."""
        await self._do(self._dialogue.change("t=", seconds))

    async def mail_directory(self) -> str:
        """Return the absolute path of the folder where all maildirs are."""
        return await self._do(self._dialogue.text("m?"))

    async def set_mail_directory(self, path: str) -> None:
        """Set that folder; code 6 when the POP3 service cannot use it."""
        await self._do(self._dialogue.change("m=", path))

    async def logged_in_users(self) -> list[str]:
        """Return the names of the POP3 users who have an open session."""
        return await self._do(self._dialogue.lines("cu?"))

    async def sessions(self) -> list[Session]:
        """Return the open POP3 sessions; `NotSupported` without `s?`."""
        return await self._do(self._dialogue.sessions())

    async def close_session(self, session_id: str) -> None:
        """Close a POP3 session; code 4 when there is none of that id, `NotSupported` without `k-`."""
        await self._do(self._dialogue.close_session(session_id))

    async def slow_downs(self) -> list[SlowDown]:
        """Return who is slowed down for wrong passwords; `NotSupported` without `g?`."""
        return await self._do(self._dialogue.slow_downs())

    async def lift_slow_down(self, slow_down_id: str) -> None:
        """Lift a slow-down; code 4 when there is none of that id, `NotSupported` without `g-`."""
        await self._do(self._dialogue.lift_slow_down(slow_down_id))

    async def version(self) -> str:
        """Return the server's version; `NotSupported` without `v?`."""
        return await self._do(self._dialogue.version())

    def _begin_anew(self) -> None:
        self._dialogue = Dialogue(self._pipelining)
        self._parser = ReplyParser(self._max_lines)

    async def _do(self, operation: Operation[_Result]) -> _Result:
        async with self._turn:
            try:
                requests = next(operation)
                while True:
                    requests = operation.send(await self._exchange(requests))
            except StopIteration as end:
                result: _Result = end.value
                return result
            except NotPeep:
                self._hang_up()
                raise

    async def _exchange(self, requests: Sequence[Request]) -> list[Reply]:
        if self._stream is None:
            raise ConnectionLost("the connection is closed")
        if self._parser.has_octets:
            raise NotPeep("the server has said more than it was asked")
        reader, writer = self._stream
        try:
            # One write: simple servers take one command a read.
            writer.write(b"".join([one.octets for one in requests]))
            return [await self._reply(reader, one) for one in requests]
        except TimeoutError as error:
            self._hang_up()
            raise TimedOut(self._silence_seconds) from error
        except OSError as error:
            self._hang_up()
            raise ConnectionLost(f"the connection broke off: {error.strerror or error}") from error
        except BaseException:
            # A cancellation as well: the reply would be taken for that of the next command.
            self._hang_up()
            raise

    async def _reply(self, reader: asyncio.StreamReader, asked: Request) -> Reply:
        while (reply := self._parser.next_reply(asked.shape)) is None:
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


def connect_async(
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
) -> AsyncPeep:
    """Return what `async with` opens: `connect` for asyncio, with the same arguments and errors."""
    login = None if username is None else (username, password or "")
    if login is not None:
        request("a", *login)  # a name that cannot be sent costs no connection
    return AsyncPeep(
        address(host, port, tls),
        login,
        connect_seconds=connect_seconds,
        silence_seconds=silence_seconds,
        pipelining=pipelining,
        max_lines=max_lines,
    )
