"""TLS between a connection's transport and its lines: octets in, octets out, no socket.

So one class of connection counts, waits and closes in the same way with and without TLS, and on every event
loop.
"""

import contextlib
import ssl

RECORD_OCTETS = 16 * 1024
"""The most plain text that one TLS record carries (RFC 8446, section 5.1)."""


class TlsError(Exception):
    """The client broke the rules of TLS, or does not use it; the text says how."""


class TlsChannel:
    """The server's side of one TLS connection.

    After every call `outgoing` returns the octets for the network. Plain text that is sent before the end of
    the handshake waits for it.
    """

    __slots__ = (
        "_incoming",
        "_outgoing",
        "_records",
        "_tls",
        "_waiting",
        "is_ended",
        "is_established",
        "waiting_octets",
    )

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._records: list[bytes] = []
        self._waiting: list[bytes] = []
        self.waiting_octets = 0
        """Plain text that waits for the end of the handshake."""
        self.is_established = False
        self.is_ended = False
        """The client has announced that it sends nothing more."""

    @property
    def version(self) -> str:
        """The protocol's version, as `TLSv1.3`; empty before the handshake is complete."""
        return (self._tls.version() or "") if self.is_established else ""

    def receive(self, octets: bytes) -> bytes:
        """Return the plain text of octets from the network, b"" after the client's end.

        Raises `TlsError`. Plain text from before the fault is lost: it could not be answered.
        """
        # In pieces: the library never frees the memory that it once used for unread octets.
        pieces = range(0, len(octets), RECORD_OCTETS)
        return b"".join([self._receive(octets[start : start + RECORD_OCTETS]) for start in pieces])

    def send(self, plain: bytes) -> None:
        """Encrypt plain text, after the handshake."""
        if self.is_established:
            self._write(plain)
        else:
            self._waiting.append(plain)
            self.waiting_octets += len(plain)

    def close(self) -> None:
        """Announce that nothing more is sent (RFC 8446, section 6.1), if the handshake is complete."""
        if not self.is_established:
            return
        with contextlib.suppress(ssl.SSLError):  # it wants to wait for the client's answer
            self._tls.unwrap()

    def outgoing(self) -> bytes:
        """Return the octets for the network, each once."""
        self._take_records()
        records, self._records = self._records, []
        return records[0] if len(records) == 1 else b"".join(records)

    def _receive(self, octets: bytes) -> bytes:
        if self.is_ended:
            return b""  # the library would keep the octets
        self._incoming.write(octets)
        try:
            if not self.is_established:
                self._tls.do_handshake()
                self._handshake_done()
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise TlsError((error.reason or "unknown error").lower().replace("_", " ")) from error

    def _handshake_done(self) -> None:
        self.is_established = True
        waiting, self._waiting = self._waiting, []
        self.waiting_octets = 0
        for plain in waiting:
            self._write(plain)

    def _write(self, plain: bytes) -> None:
        # One record at a time: the library never frees the memory that it once used, so a long message
        # written at once would take 256 KiB until the connection ends.
        rest = memoryview(plain)
        while rest:
            rest = rest[self._tls.write(rest[:RECORD_OCTETS]) :]
            self._take_records()

    def _take_records(self) -> None:
        if self._outgoing.pending:
            self._records.append(self._outgoing.read())

    def _read(self) -> bytes:
        chunks = []
        try:
            while chunk := self._tls.read(RECORD_OCTETS):
                chunks.append(chunk)
            self.is_ended = True
        except ssl.SSLWantReadError:
            pass
        return b"".join(chunks)
