"""A connection to one Redis server: sends commands and reads answers in RESP3, by hiredis."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Self

import hiredis

from state_store.redis.address import Endpoint, Login, RedisAddress
from state_store.redis.faults import ANSWER_SECONDS, ErrorAnswer, RedisError, error_answer

Command = tuple[Any, ...]

READ_OCTETS = 32_768

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""The idle seconds before the system probes a TCP connection (the second name is macOS's), the seconds
between probes, and how many have to fail."""

_NO_ANSWER_YET = object()


class RedisStream:
    """Sends commands and reads their answers, in order. Nothing is repeated, nothing has a time limit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: str) -> None:
        self.server = server
        """The server, in a form to compare."""
        self._reader = reader
        self._writer = writer
        self._answers = hiredis.Reader(
            encoding="utf-8",
            protocolError=RedisError,
            replyError=error_answer,
            notEnoughData=_NO_ANSWER_YET,
        )

    @classmethod
    async def open(cls, address: RedisAddress, endpoint: Endpoint, login: Login | None = None) -> Self:
        """Return a new connection that is logged in. Raises `RedisError` or `OSError`."""
        server = endpoint[0] if address.is_socket else f"{endpoint[0]}:{endpoint[1]}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await _connect(address, endpoint)
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionError(f"cannot connect to {server}: {error.strerror or error}") from error
        stream = cls(reader, writer, server)
        try:
            if not address.is_socket:
                stream._keep_alive()
            await stream._log_in(login or address.login)
        except BaseException:
            stream.close()
            raise
        return stream

    async def send(self, commands: Sequence[Command]) -> None:
        """Send commands. Raises `OSError`."""
        try:
            self._writer.writelines([hiredis.pack_command(command) for command in commands])
            await self._writer.drain()
        except RuntimeError as error:
            # uvloop closes a transport that was reset while nothing was being read.
            raise ConnectionResetError("reset while it was idle") from error

    async def read(self) -> Any:
        """Return the next answer; an error answer is returned too. Raises `RedisError` or `OSError`."""
        while (answer := self._answers.gets()) is _NO_ANSWER_YET:
            octets = await self._reader.read(READ_OCTETS)
            if not octets:
                raise ConnectionResetError("the server has closed the connection")
            self._answers.feed(octets)
        return answer

    async def ask(self, *words: Any) -> Any:
        """Send one command and return its answer. Raises `RedisError` or `OSError`."""
        await self.send([words])
        return _good(await self.read())

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.close()

    def _keep_alive(self) -> None:
        end = self._writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    async def _log_in(self, login: Login) -> None:
        who = ("AUTH", login.username or "default", login.password)
        commands: list[Command] = [("HELLO", 3, *(who if login.username or login.password else ()))]
        if login.client_name:
            commands.append(("CLIENT", "SETNAME", login.client_name))
        if login.database:
            commands.append(("SELECT", login.database))
        await self.send(commands)
        for _ in commands:
            _good(await self.read())


def _good(answer: Any) -> Any:
    if isinstance(answer, ErrorAnswer):
        raise answer
    return answer


async def _connect(
    address: RedisAddress, endpoint: Endpoint
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.is_socket:
        return await asyncio.open_unix_connection(endpoint[0])
    context = address.tls.context() if address.tls is not None else None
    return await asyncio.open_connection(*endpoint, ssl=context)
