"""The output of a connection: gathered, written in few pieces, and counted as the kernel takes it."""

import asyncio
import ssl

from line_server.tls import TlsChannel

LARGE_PIECE_OCTETS = 8 * 1024
"""Pieces of this size on average are written one by one, smaller ones are joined first: copying them costs
less than more calls."""

FAREWELL_SECONDS = 5.0
"""How long a client may take to read the last reply before the connection is aborted."""


class Output:
    """The output of one connection, in the clear or through TLS. Octets are counted before encryption.

    Methods that return a bool say whether `octets_sent` has grown.
    """

    __slots__ = (
        "_gathered",
        "_gathered_octets",
        "_lingers_after_handshake",
        "_waiters",
        "channel",
        "is_stalled",
        "octets_sent",
        "octets_written",
        "transport",
    )

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        """None before the connection begins and after its end."""
        self.channel: TlsChannel | None = None
        self.is_stalled = False
        """Whether the kernel has not yet taken all that was written: the client reads too slowly."""
        self.octets_written = 0
        self.octets_sent = 0
        """Octets that the kernel has taken."""
        self._gathered: list[bytes] | None = None  # an empty list takes 72 octets
        self._gathered_octets = 0
        self._lingers_after_handshake: bool | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        """Write to `transport` from now on."""
        self.transport = transport
        # With these limits a write is tried at once, and pause_writing means exactly: not all of it
        # has been taken by the kernel.
        transport.set_write_buffer_limits(high=0, low=0)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Encrypt what is flushed from now on, after the handshake."""
        self.channel = TlsChannel(context)

    @property
    def octets_queued(self) -> int:
        """Everything gathered so far: the position of the next reply's first octet."""
        return self.octets_written + self._gathered_octets

    @property
    def tls_version(self) -> str:
        """The version of TLS, as `TLSv1.3`; empty in the clear and before the handshake is complete."""
        return self.channel.version if self.channel is not None else ""

    def unsent_octets(self) -> int:
        """Return how many octets wait for the client to read; encrypted ones count with what TLS adds."""
        if self.transport is None:
            return 0
        waiting = self.channel.waiting_octets if self.channel is not None else 0
        return waiting + self.transport.get_write_buffer_size()

    def gather(self, octets: bytes) -> int:
        """Keep octets for the next `flush`; return how many are kept now."""
        if self._gathered is None:
            self._gathered = [octets]
        else:
            self._gathered.append(octets)
        self._gathered_octets += len(octets)
        return self._gathered_octets

    def flush(self) -> bool:
        """Write what has been gathered."""
        gathered, octets, transport = self._gathered, self._gathered_octets, self.transport
        if gathered is None or transport is None:
            return False
        self._gathered = None
        self._gathered_octets = 0
        self.octets_written += octets
        if self.channel is not None:
            self.channel.send(b"".join(gathered))
            self.write_ciphertext()
            return self._count_sent()
        if len(gathered) == 1:
            transport.write(gathered[0])
        elif octets >= LARGE_PIECE_OCTETS * len(gathered):
            transport.writelines(gathered)
        else:
            transport.write(b"".join(gathered))
        if self.is_stalled:
            return self._count_sent()
        self.octets_sent = self.octets_written  # or `pause_writing` would have been called
        return True

    def resume(self) -> None:
        """Go on after a stall: the kernel has taken everything."""
        self.is_stalled = False
        self._count_sent()
        self._wake()

    async def drained(self) -> None:
        """Wait until the kernel has taken what was written.

        Raises `ConnectionResetError` when it never will.
        """
        if self.is_stalled:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters = [*(self._waiters or ()), waiter]
            await waiter
        if self.transport is None:
            raise ConnectionResetError

    def write_ciphertext(self) -> None:
        """Write what the channel has to send: parts of the handshake, alerts, encrypted text."""
        octets = self.channel.outgoing() if self.channel is not None else b""
        if octets and self.transport is not None:
            self.transport.write(octets)

    def handshake_completed(self) -> bool:
        """Count what had waited for the handshake, and close if `close_after_handshake` was called."""
        has_grown = self._count_sent()
        if self._lingers_after_handshake is not None:
            self.close(linger=self._lingers_after_handshake)
        return has_grown

    def close_after_handshake(self, *, linger: bool) -> None:
        """Close after the handshake: before it the client cannot read what was sent."""
        assert self.transport is not None, "only an open connection is closed"
        self._lingers_after_handshake = linger
        asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self.transport.abort)

    def close(self, *, linger: bool) -> None:
        """Close once everything has been sent; with `linger` close only our side of the stream."""
        transport = self.transport
        assert transport is not None, "only an open connection is closed"
        if self.channel is not None:
            self.channel.close()
            self.write_ciphertext()
        if linger and transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()
        if linger or self.is_stalled:
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, transport.abort)

    def end(self) -> None:
        """End: the connection is gone. What the kernel has taken is counted already."""
        self.transport = None
        if self._waiters is not None:
            self._wake()

    def _count_sent(self) -> bool:
        # Encrypted octets that wait are never fewer than their plain text: the count is never too high.
        octets_sent = self.octets_written - self.unsent_octets()
        if octets_sent <= self.octets_sent:
            return False
        self.octets_sent = octets_sent
        return True

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
