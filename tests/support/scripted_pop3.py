"""A POP3 server that says what a test wants: the faults of other servers cannot be had otherwise."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pop3_client import Pop3Address, Security

PASSWORD = "secret"


class Close(Exception):
    """The server closes the connection at once."""


@dataclass
class ScriptedServer:
    """What the server has, what it says in the place of the truth, and what it was asked.

    `lies` are replies by the command line that they answer: octets, or a function that returns them, raises
    `Close`, or waits.
    """

    maildrops: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    """For each user the unique-id and the content (with CRLF) of each message."""
    lies: dict[bytes, "bytes | Callable[[], bytes]"] = field(default_factory=dict)
    before: dict[bytes, asyncio.Event] = field(default_factory=dict)
    """Commands that are answered once the event is set, or the test ends."""
    capabilities: list[bytes] = field(default_factory=lambda: [b"USER", b"UIDL", b"TOP"])
    greeting: bytes = b"+OK ready\r\n"
    tls: ssl.SSLContext | None = None
    starts_with_tls: bool = False
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    port: int = 0
    silence: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the test's end."""

    def address(self, security: Security = Security.NONE) -> Pop3Address:
        """Return where it listens."""
        return Pop3Address("localhost" if self.tls else "127.0.0.1", self.port, security)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            writer.write(self.greeting)
            session = _Session(self, reader, writer)
            while line := await reader.readline():
                await session.answer(line.rstrip(b"\r\n"))
        except (Close, ConnectionError):
            pass
        finally:
            self.open_now -= 1
            writer.close()


SILENCE = b"<silence>"
"""A reply that comes once the test is over."""

DRIP = b"<drip>"
"""In a reply: from here on it comes octet by octet, and has no end before the test's."""

DRIP_SECONDS = 0.01


class _Session:
    def __init__(
        self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._user = ""
        self._mail: list[tuple[bytes, bytes]] = []

    async def answer(self, line: bytes) -> None:
        self._server.asked.append(line)
        if (gate := self._server.before.get(line)) is not None:
            waits = [asyncio.ensure_future(one.wait()) for one in (gate, self._server.silence)]
            _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for one in pending:
                one.cancel()
        lie = self._server.lies.get(line)
        if callable(lie):
            lie = lie()
        if lie == SILENCE:
            await self._server.silence.wait()
        elif lie is not None and DRIP in lie:
            await self._drip(*lie.split(DRIP))
        elif lie is not None:
            self._writer.write(lie)
        elif line == b"STLS" and self._server.tls is not None:
            self._writer.write(b"+OK begin\r\n")
            await self._writer.start_tls(self._server.tls)
        else:
            self._writer.write(self._reply(*line.split(b" ")))
        await self._writer.drain()
        if line == b"QUIT":
            raise Close

    async def _drip(self, at_once: bytes, drop: bytes) -> None:
        self._writer.write(at_once)
        while not self._server.silence.is_set():
            self._writer.write(drop)
            await self._writer.drain()
            await asyncio.sleep(DRIP_SECONDS)

    def _reply(self, keyword: bytes, *arguments: bytes) -> bytes:
        match keyword.upper(), arguments:
            case b"CAPA", ():
                return multiline(self._server.capabilities)
            case b"USER", (name,):
                self._user = name.decode()
                return b"+OK\r\n"
            case b"PASS", (password,):
                return self._log_in(password)
            case b"AUTH", (b"PLAIN", response):
                _, name, password = base64.b64decode(response).split(b"\0")
                self._user = name.decode()
                return self._log_in(password)
            case b"LIST", ():
                return multiline(b"%d %d" % (n, len(one[1])) for n, one in enumerate(self._mail, 1))
            case b"UIDL", ():
                return multiline(b"%d %b" % (n, one[0]) for n, one in enumerate(self._mail, 1))
            case b"RETR", (number,):
                return multiline(self._mail[int(number) - 1][1].split(b"\r\n")[:-1])
            case b"TOP", (number, b"0"):
                header = self._mail[int(number) - 1][1].partition(b"\r\n\r\n")[0]
                return multiline([*header.split(b"\r\n"), b""])
            case b"QUIT", ():
                return b"+OK bye\r\n"
        return b"-ERR what?\r\n"

    def _log_in(self, password: bytes) -> bytes:
        if self._user not in self._server.maildrops or password != PASSWORD.encode():
            return b"-ERR [AUTH] no\r\n"
        self._mail = self._server.maildrops[self._user]
        return b"+OK\r\n"


def multiline(lines: Iterable[bytes]) -> bytes:
    """Return a multi-line reply with these lines."""
    stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
    return b"\r\n".join([b"+OK", *stuffed, b".", b""])


@asynccontextmanager
async def serving(server: ScriptedServer) -> AsyncIterator[ScriptedServer]:
    """Let the server listen on a free port of the loopback, inside TLS if it `starts_with_tls`."""
    tls = server.tls if server.starts_with_tls else None
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.silence.set()
        listener.close()
