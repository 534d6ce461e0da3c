"""TLS between a connection's transport and its lines: octets in, octets out, no socket.

The library does all of it in memory. So one class of connection counts, holds back and closes in the
same way with and without TLS, and nothing depends on an event loop's own idea of a TLS transport.
"""

import contextlib
import ssl

RECORD_OCTETS = 16 * 1024
"""The most plain text that one TLS record carries (RFC 8446, section 5.1)."""


class TlsError(Exception):
    """The other side broke the rules of TLS, or does not speak it; the text says how."""


class TlsChannel:
    """The server's side of one TLS connection.

    Whatever is called, `outgoing` then gives what has to go to the network. Plain text that is sent
    before the handshake is complete waits for it.
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
        """The other side has said that it will send nothing more."""

    @property
    def version(self) -> str:
        """The protocol's version, as `TLSv1.3`; empty before the handshake is complete."""
        return (self._tls.version() or "") if self.is_established else ""

    def receive(self, octets: bytes) -> bytes:
        """Return the plain text in what came from the network; nothing after its end.

        Raises `TlsError`; plain text that came with the fault is lost, as no answer could be sent.
        """
        # In pieces, since the library keeps the room that it once had for what waits to be read.
        pieces = range(0, len(octets), RECORD_OCTETS)
        return b"".join([self._receive(octets[start : start + RECORD_OCTETS]) for start in pieces])

    def send(self, plain: bytes) -> None:
        """Encrypt plain text, or keep it until the handshake is complete."""
        if self.is_established:
            self._write(plain)
        else:
            self._waiting.append(plain)
            self.waiting_octets += len(plain)

    def close(self) -> None:
        """Say that nothing more will be sent (RFC 8446, section 6.1), once the handshake is complete."""
        if not self.is_established:
            return
        with contextlib.suppress(ssl.SSLError):  # it wants the other side's answer, for which nobody waits
            self._tls.unwrap()

    def outgoing(self) -> bytes:
        """Return, once, what is to be sent to the network."""
        self._take_records()
        records, self._records = self._records, []
        return records[0] if len(records) == 1 else b"".join(records)

    def _receive(self, octets: bytes) -> bytes:
        if self.is_ended:
            return b""  # the library would keep it all
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
        # Record by record: the library keeps the room that it once had, so a long message written at
        # once would cost its 256 KiB for as long as the connection lasts.
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
