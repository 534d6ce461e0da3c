"""One TCP connection that speaks lines: hands them out one by one, and sends replies under back-pressure."""

import asyncio
from collections.abc import Callable
from typing import cast

from line_server.deadline import Deadline
from line_server.lines import LineBuffer, OverlongLine, RunawayLine
from line_server.listener import plain_host

INPUT_OCTETS = 64 * 1024
"""Unanswered input that one connection may have in memory before we stop reading from it."""

OUTPUT_OCTETS = 64 * 1024
"""Replies gathered before they are written in one go."""

FAREWELL_SECONDS = 5.0
"""How long a client may take to read the last reply before the connection is cut off."""


class LineConnection(asyncio.Protocol):
    """Base of a protocol's connection: lines in, replies out.

    A subclass answers `line_received` with `send`; when the answer takes waiting it calls `hold`, and
    `release` once it has sent the reply: meanwhile further lines wait, and past `INPUT_OCTETS` of them
    the client does. A client that does not read is not served further either: no line is handed out
    while replies wait to be sent. A client that half-closes gets every reply still owed.
    """

    def __init__(self, max_line_octets: int, connections: "set[LineConnection]") -> None:
        self.lines = LineBuffer(max_line_octets)
        self.address = ""
        self.octets_written = 0
        self.octets_sent = 0
        """Octets that the kernel has taken."""
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._output_octets = 0
        self._is_held = self._is_pumping = self._is_stalled = False
        self._is_throttled = self._is_at_end = self._is_closing = False
        self._waiters: list[asyncio.Future[None]] = []

    # What a subclass gives

    def opened(self) -> None:
        """Take note of a new connection; may send a greeting."""

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer one line, given without its CRLF."""
        raise NotImplementedError

    def runaway_received(self) -> None:
        """Answer a line that does not end (RUNAWAY_OCTETS); closes the connection by default."""
        self.hang_up(linger=True)

    def failed(self, error: Exception) -> None:
        """Report a bug met while answering; the connection is cut off afterwards unless this hangs up."""
        raise NotImplementedError

    def sent(self) -> None:
        """Take note that `octets_sent` has grown."""

    def closed(self) -> None:
        """Take note of the connection's end, whoever wanted it."""

    # What a subclass uses

    def send(self, octets: bytes) -> None:
        """Send a reply, together with others of the same turn of the event loop.

        After `hang_up` it goes nowhere: the client has had its last word.
        """
        if self._is_closing:
            return
        self._output.append(octets)
        self._output_octets += len(octets)
        if not self._is_pumping or self._output_octets > OUTPUT_OCTETS:
            self._flush()

    def hold(self) -> None:
        """Hand out no further line until `release`."""
        self._is_held = True

    def release(self) -> None:
        """Go on with the lines that have waited."""
        self._is_held = False
        self._pump()

    def hang_up(self, last: bytes = b"", *, linger: bool = False) -> None:
        """Send what is owed, and `last`, then close.

        With `linger` the client may still be sending: it gets the reply and our end of stream, and
        what it sends is thrown away, since closing on unread input would reset the connection and
        take the reply with it.
        """
        if self._is_closing or self._transport is None:
            return
        if last:
            self.send(last)
        self._is_closing = True
        self._flush()
        transport = self._transport
        if linger and not self._is_at_end and transport.can_write_eof():
            transport.write_eof()
            self._start_reading()
        else:
            transport.close()
        if linger or self._is_stalled:
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, transport.abort)

    def abort(self) -> None:
        """Close now; what has not been sent is lost."""
        self._is_closing = True
        if self._transport is not None:
            self._transport.abort()

    @property
    def octets_queued(self) -> int:
        """Everything given to `send` so far: the position of the next reply's first octet."""
        return self.octets_written + self._output_octets

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone: what is sent reaches nobody."""
        return self._transport is None

    @property
    def is_closing(self) -> bool:
        """Whether the connection is at its end: nothing more is answered."""
        return self._is_closing

    def unsent_octets(self) -> int:
        """Return how many octets wait for the client to read."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    async def drained(self) -> None:
        """Wait until the kernel has taken everything. Raises `ConnectionResetError` when it never will."""
        self._flush()
        if self._is_stalled:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if self._transport is None:
            raise ConnectionResetError

    def new_deadline(self, expired: Callable[[], None]) -> Deadline:
        """Return a deadline on this connection's event loop."""
        return Deadline(asyncio.get_running_loop(), expired)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio)."""
        self._transport = cast(asyncio.Transport, transport)
        # With these limits a write is tried at once, and pause_writing means exactly: not all of it
        # has been taken by the kernel.
        self._transport.set_write_buffer_limits(high=0, low=0)
        peer = transport.get_extra_info("peername")
        self.address = plain_host(peer[0]) if peer else ""
        self._connections.add(self)
        self.opened()

    def data_received(self, data: bytes) -> None:
        """Take octets from the network (asyncio)."""
        if self._is_closing:
            return
        self.lines.feed(data)
        self._pump()

    def eof_received(self) -> bool:
        """Note that the client will send nothing more; it may still be reading (asyncio)."""
        self._is_at_end = True
        if self._is_closing:
            return False
        self._pump()
        return True

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than we send (asyncio)."""
        self._is_stalled = True

    def resume_writing(self) -> None:
        """Note that the kernel has taken everything (asyncio)."""
        self._is_stalled = False
        self._note_sent()
        self._wake()
        # Not now: asyncio's transport must not be closed from within this very callback.
        asyncio.get_running_loop().call_soon(self._pump)

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        if exc is None and self._transport is not None and not self._is_stalled:
            self._note_sent()
        self._is_closing = True
        self._transport = None
        self._connections.discard(self)
        self._wake()
        self.closed()

    # Inside

    def _pump(self) -> None:
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while not (self._is_held or self._is_stalled or self._is_closing):
                line = self.lines.next()
                if line is None:
                    break
                if isinstance(line, RunawayLine):
                    self.runaway_received()
                else:
                    self.line_received(line)
        except Exception as error:
            self.failed(error)
            if not self._is_closing:
                self.abort()
        finally:
            self._is_pumping = False
        self._flush()
        self._settle()

    def _settle(self) -> None:
        """Stop or go on reading, and end a half-closed connection that has had all its answers."""
        if self._is_closing:
            return
        is_waiting = self._is_held or self._is_stalled
        if is_waiting and self.lines.pending_octets > INPUT_OCTETS:
            if not self._is_throttled and self._transport is not None:
                self._is_throttled = True
                self._transport.pause_reading()
        else:
            self._start_reading()
            if self._is_at_end and not is_waiting:
                self.hang_up()

    def _start_reading(self) -> None:
        if self._is_throttled and self._transport is not None:
            self._is_throttled = False
            self._transport.resume_reading()

    def _flush(self) -> None:
        if not self._output or self._transport is None:
            return
        octets = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        self._output_octets = 0
        self.octets_written += len(octets)
        self._transport.write(octets)
        self._note_sent()

    def _note_sent(self) -> None:
        assert self._transport is not None
        octets_sent = self.octets_written - self._transport.get_write_buffer_size()
        if octets_sent != self.octets_sent:
            self.octets_sent = octets_sent
            self.sent()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
