"""A session with a POP3 server: read only, in bounded memory and time."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from pop3_client.address import Pop3Address, Security
from pop3_client.protocol.errors import (
    ConnectionLost,
    InvalidArgument,
    Misbehaved,
    Pop3Error,
    Refused,
    Unreachable,
)
from pop3_client.protocol.listings import (
    ListedMessage,
    capabilities,
    listed_messages,
    scan_listing,
    unique_id_listing,
)
from pop3_client.protocol.replies import LONGEST_STATUS_OCTETS, Lines, Multiline, Status
from pop3_client.protocol.requests import plain_requests, request

_READ_OCTETS = 1 << 16


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return a context that checks certificates and host names: by the system's authorities, or a PEM file's.

    Raises `InvalidArgument` when the file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise InvalidArgument(f"{ca_file}: no PEM certificates in it") from None
    except OSError as error:
        raise InvalidArgument(f"{ca_file} cannot be read: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a server may take, in seconds."""

    connect: float = 20.0
    """From the connection to the greeting, TLS included."""
    silence: float = 60.0
    """Until the next octet of a reply that is due."""
    login: float = 60.0
    """For the reply to a login."""
    listing: float = 300.0
    """For a whole listing, however slowly it comes."""
    octets_a_second: float = 1000.0
    """A message may take `silence`, and a second more for each so many octets."""
    quit: float = 2.0
    """For the reply to QUIT, on which nothing depends."""


class Pop3Client:
    """One session. Used as a context, it ends with QUIT; after a failure the connection is just closed.

    No method removes anything. Each raises `ConnectionLost` and `Misbehaved`, after which only `close` is of
    use, and `Refused`, after which the session goes on.
    """

    __slots__ = ("_buffer", "_capabilities", "_is_usable", "_limits", "_reader", "_transport", "address")

    def __init__(self, address: Pop3Address, limits: TimeLimits) -> None:
        self.address = address
        self._limits = limits
        self._buffer = b""
        self._is_usable = False
        self._capabilities: dict[str, tuple[str, ...]] | None = None
        self._reader = asyncio.StreamReader(_READ_OCTETS)
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(
        cls, address: Pop3Address, tls: ssl.SSLContext | None = None, limits: TimeLimits = TimeLimits()
    ) -> Self:
        """Return a session that has been greeted, inside TLS where the address says so.

        `tls` decides which certificates are trusted; None means the system's authorities. Raises
        `Unreachable`.
        """
        client = cls(address, limits)
        try:
            async with asyncio.timeout(limits.connect):
                await client._open(tls)
        except BaseException as error:
            client.abort()
            if isinstance(error, OSError | Pop3Error):  # TimeoutError is an OSError
                raise Unreachable(f"{address}: {_reason(error)}") from None
            raise
        return client

    async def _open(self, tls: ssl.SSLContext | None) -> None:
        address, security = self.address, self.address.security
        if security is not Security.NONE:
            tls = tls or ssl.create_default_context()
        self._transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: asyncio.StreamReaderProtocol(self._reader),
            address.host,
            address.port,
            ssl=tls if security is Security.TLS else None,
        )
        self._is_usable = True
        greeting = await self._status()
        if not greeting.is_positive:
            raise Refused("a session", greeting.text)
        if security is Security.STLS and tls is not None:
            await self._ask(request("STLS"))
            await self._start_tls(self._transport, tls)

    async def _start_tls(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        if self._buffer:
            raise Misbehaved("octets came between the reply to STLS and TLS")
        # A new reader: whatever the old one has received meanwhile came in the clear, from anybody.
        self._reader = asyncio.StreamReader(_READ_OCTETS)
        protocol = asyncio.StreamReaderProtocol(self._reader)
        secured = await asyncio.get_running_loop().start_tls(
            transport, protocol, tls, server_hostname=self.address.host
        )
        if secured is None:
            raise ConnectionLost("the connection ended during the TLS handshake")
        self._transport = secured
        protocol.connection_made(secured)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session with QUIT, if it still works; nothing is removed by that."""
        try:
            if self._is_usable:
                with suppress(ConnectionLost, Misbehaved, Refused, TimeoutError):
                    async with asyncio.timeout(self._limits.quit):
                        await self._ask(request("QUIT"))
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self._is_usable = False
        if self._transport is not None:
            self._transport.abort()

    async def capabilities(self) -> dict[str, tuple[str, ...]]:
        """Return the arguments of each capability by its tag; nothing if the server does not know CAPA."""
        if self._capabilities is None:
            try:
                self._capabilities = capabilities(await self._lines(request("CAPA")))
            except Refused:
                self._capabilities = {}
        return self._capabilities

    async def log_in(self, username: str, password: str) -> None:
        """Log in, with AUTH PLAIN where the server offers it, else with USER and PASS.

        Raises `WrongLogin`, `LoginPutOff`, and `InvalidArgument`.
        """
        user, password_line = request("USER", username), request("PASS", password)
        if "PLAIN" in (await self.capabilities()).get("SASL", ()):
            await self._log_in(plain_requests(username, password), "AUTH", password)
        else:
            await self._log_in([user], "USER", password)
            await self._log_in([password_line], "PASS", password)

    async def _log_in(self, lines: list[bytes], keyword: str, password: str) -> None:
        with self._hanging_up_on_failure():
            async with asyncio.timeout(self._limits.login):
                for line in lines[:-1]:
                    self._send(line)
                    challenge = await self._line()
                    if challenge.rstrip() != b"+" and not challenge.startswith(b"+ "):
                        raise _refusal(Status.of(challenge), keyword, password)
                self._send(lines[-1])
                status = await self._status()
        if not status.is_positive:
            raise status.login_refusal(keyword, password)

    async def messages(self) -> list[ListedMessage]:
        """Return the maildrop's messages in the server's order, as LIST and UIDL list them."""
        octets = scan_listing(await self._lines(request("LIST")))
        return listed_messages(octets, unique_id_listing(await self._lines(request("UIDL"))))

    def header(self, number: int) -> AsyncGenerator[bytes, None]:
        """Yield the header of a message, and the empty line after it, in pieces."""
        return self._content(request("TOP", number, 0))

    def message(self, number: int) -> AsyncGenerator[bytes, None]:
        """Yield a message in pieces, its lines with CRLF as they come, byte-stuffing undone.

        Some servers mark what RETR has sent as read.
        """
        return self._content(request("RETR", number))

    async def _content(self, line: bytes) -> AsyncGenerator[bytes, None]:
        with self._hanging_up_on_failure():
            await self._ask(line)
            loop = asyncio.get_running_loop()
            waited, octets, multiline = 0.0, 0, Multiline()
            while not multiline.has_ended:
                began = loop.time()
                chunk, self._buffer = self._buffer or await self._read(), b""
                waited += loop.time() - began
                octets += len(chunk)
                if waited > self._limits.silence + octets / self._limits.octets_a_second:
                    raise ConnectionLost("it sends too slowly")
                if content := multiline.feed(chunk):
                    yield content
            self._buffer = multiline.rest

    async def _lines(self, line: bytes) -> list[bytes]:
        found: list[bytes] = []
        lines = Lines()
        with self._hanging_up_on_failure():
            async with asyncio.timeout(self._limits.listing):
                async for content in self._content(line):
                    found += lines.feed(content)
        return found

    async def _ask(self, line: bytes) -> Status:
        with self._hanging_up_on_failure():
            self._send(line)
            status = await self._status()
        if not status.is_positive:
            raise Refused(line.split()[0].decode(), status.text)
        return status

    def _send(self, line: bytes) -> None:
        if self._transport is None or not self._is_usable:
            raise ConnectionLost("the session is over")
        if self._buffer:
            raise Misbehaved("it has sent something that nobody asked for")
        self._transport.write(line)

    async def _status(self) -> Status:
        return Status.of(await self._line())

    async def _line(self) -> bytes:
        async with asyncio.timeout(self._limits.silence):
            while b"\n" not in self._buffer and len(self._buffer) <= LONGEST_STATUS_OCTETS:
                self._buffer += await self._read()
        line, _, self._buffer = self._buffer.partition(b"\n")
        if len(line) > LONGEST_STATUS_OCTETS:
            raise Misbehaved(f"a reply's first line has more than {LONGEST_STATUS_OCTETS:,} octets")
        return line

    async def _read(self) -> bytes:
        async with asyncio.timeout(self._limits.silence):
            chunk = await self._reader.read(_READ_OCTETS)
        if not chunk:
            raise ConnectionLost("it has closed the connection")
        return chunk

    @contextmanager
    def _hanging_up_on_failure(self) -> Iterator[None]:
        """Turn failures of the socket into `ConnectionLost`; close the connection after any but `Refused`.

        A reply that is still owed would be taken for the next command's.
        """
        try:
            yield
        except Refused:
            raise
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError):  # TimeoutError is one
                raise ConnectionLost(_reason(error)) from None
            raise


def _refusal(status: Status, keyword: str, password: str) -> Pop3Error:
    if status.is_positive:
        return Misbehaved(f"it answers {keyword} with +OK where it should ask for more")
    return status.login_refusal(keyword, password)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS there ({error.reason or 'no reason given'})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or "no connection"
    return str(error)
