"""One TCP connection that speaks lines: hands them out one by one, and sends replies under back-pressure."""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from line_server.deadline import Deadline
from line_server.entrance import PLAIN, Entrance
from line_server.lines import LineBuffer, OverlongLine, RunawayLine
from line_server.listener import plain_host
from line_server.tls import TlsChannel, TlsError
from line_server.turns import bulk

INPUT_OCTETS = 64 * 1024
"""Unanswered input that one connection may have in memory before we stop reading from it."""

LINES_PER_TURN = 32
"""Lines that one connection may have answered in one turn of the event loop: tens of thousands fit into
one read, and everybody else would wait for all of them. Few pipelined sessions have more."""

OUTPUT_OCTETS = 64 * 1024
"""Replies gathered before they are written in one go; they too are all of a connection's turn."""

LARGE_PIECE_OCTETS = 8 * 1024
"""Replies that are as large as this on average are given to the system one by one: joining smaller ones
costs less than their number does, joining larger ones copies them for nothing."""

FAREWELL_SECONDS = 5.0
"""How long a client may take to read the last reply before the connection is cut off."""


class LineConnection(asyncio.Protocol):
    """Base of a protocol's connection: lines in, replies out.

    A subclass answers `line_received` with `send`; when the answer takes waiting it calls `hold`, and
    `release` once it has sent the reply: meanwhile further lines wait, and past `INPUT_OCTETS` of them
    the client does. A client that does not read is not served further either: no line is handed out
    while replies wait to be sent. A client that half-closes gets every reply still owed.

    `entrance` says what comes before the lines: a proxy's header, TLS, or nothing. All counts of octets
    are of plain text.
    """

    # Ten thousand idle connections are usual: without a dictionary each takes 500 octets less.
    __slots__ = (
        "__weakref__",
        "_channel",
        "_connections",
        "_entrance",
        "_is_at_end",
        "_is_closing",
        "_is_held",
        "_is_pumping",
        "_is_resting",
        "_is_stalled",
        "_is_throttled",
        "_leaves_after_handshake",
        "_output",
        "_output_octets",
        "_transport",
        "_waiters",
        "address",
        "lines",
        "octets_sent",
        "octets_written",
    )

    def __init__(
        self, max_line_octets: int, connections: "set[LineConnection]", entrance: Entrance = PLAIN
    ) -> None:
        self.lines = self.new_lines(max_line_octets)
        self.address = ""
        self.octets_written = 0
        self.octets_sent = 0
        """Octets that the kernel has taken."""
        self._connections = connections
        self._entrance = entrance
        self._channel: TlsChannel | None = None
        self._leaves_after_handshake: Callable[[], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._output_octets = 0
        self._is_held = self._is_pumping = self._is_resting = self._is_stalled = False
        self._is_throttled = self._is_at_end = self._is_closing = False
        self._waiters: list[asyncio.Future[None]] | None = None

    # What a subclass gives

    def opened(self) -> None:
        """Take note of a new connection, its `address` known; may send a greeting."""

    def turned_away(self, reason: str) -> None:
        """Take note of a connection that never begins, or ends in its TLS handshake, and why."""

    def new_lines(self, max_line_octets: int) -> LineBuffer:
        """Return a buffer that knows what ends a line: CRLF alone, by default."""
        return LineBuffer(max_line_octets)

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer one line, given without its end."""
        raise NotImplementedError

    def line_unfinished(self) -> None:
        """Take note that no more than a part of a line has come (`lines.unfinished`)."""

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

    def count_among(self, connections: "set[LineConnection]") -> None:
        """Be one of these open connections, and no longer of those that it was among."""
        self._connections.discard(self)
        self._connections = connections
        connections.add(self)

    def end_line(self) -> None:
        """Answer what has come of a line as if it were all of it."""
        self.lines.end_line()
        self._pump()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from the next octet on; what has been sent so far goes out in the clear.

        Whatever the client sent ahead of the handshake is thrown away unread: nobody can tell who
        wrote it (the command injection of CVE-2011-0411).
        """
        self._flush()
        self.lines = self.new_lines(self.lines.max_line_octets)
        self._channel = TlsChannel(context)

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
        if self._channel is None or self._channel.is_established or self._is_at_end:
            self._leave(linger=linger)
        else:  # what was sent can be read only after the handshake
            self._leaves_after_handshake = lambda: self._leave(linger=linger)
            self._start_reading()
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._transport.abort)

    def _leave(self, *, linger: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        if self._channel is not None:
            self._channel.close()
            self._write_ciphertext()
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

    @property
    def is_encrypted(self) -> bool:
        """Whether what the client sends now comes through TLS."""
        return self._channel is not None

    @property
    def tls_version(self) -> str:
        """The version of TLS, as `TLSv1.3`; empty in the clear and before the handshake is complete."""
        return self._channel.version if self._channel is not None else ""

    def unsent_octets(self) -> int:
        """Return how many octets wait for the client to read; encrypted ones count with what TLS adds."""
        if self._transport is None:
            return 0
        waiting = self._channel.waiting_octets if self._channel is not None else 0
        return waiting + self._transport.get_write_buffer_size()

    async def drained(self) -> None:
        """Wait until the kernel has taken everything. Raises `ConnectionResetError` when it never will."""
        self._flush()
        if self._is_stalled:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters = [*(self._waiters or ()), waiter]
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
        if not self.address:  # a proxy's header has told it otherwise
            peer = transport.get_extra_info("peername")
            self.address = plain_host(peer[0]) if peer else ""
        self._connections.add(self)
        if self._entrance.tls is not None:
            self._channel = TlsChannel(self._entrance.tls())
        self.opened()

    def data_received(self, data: bytes) -> None:
        """Take octets from the network (asyncio)."""
        if self._channel is not None and data:
            data = self._decrypted(data)
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
        self._leaves_after_handshake = None
        self._is_closing = True
        self._transport = None
        self._connections.discard(self)
        self._wake()
        self.closed()

    # TLS

    def _decrypted(self, data: bytes) -> bytes:
        channel = self._channel
        if channel is None or (self._is_closing and channel.is_established):
            return b""
        was_established = channel.is_established
        try:
            plain = channel.receive(data)
        except TlsError as error:
            self._write_ciphertext()  # the alert that says what we did not like
            self._is_closing = True
            self.turned_away(f"TLS: {error}")
            self._leave(linger=False)
            return b""
        self._write_ciphertext()
        if not was_established and channel.is_established:
            self._note_sent()
            if self._leaves_after_handshake is not None:
                self._leaves_after_handshake()
        if channel.is_ended:
            self._is_at_end = True
        return plain

    def _write_ciphertext(self) -> None:
        octets = self._channel.outgoing() if self._channel is not None else b""
        if octets and self._transport is not None:
            self._transport.write(octets)

    # Inside

    def _pump(self) -> None:
        if self._is_pumping or self._is_resting:
            return
        self._is_pumping = True
        try:
            if self._take_turn():
                self._is_resting = True
                bulk().add(self._pump_on)
        except Exception as error:
            self.failed(error)
            if not self._is_closing:
                self.abort()
        finally:
            self._is_pumping = False
        self._flush()
        if self._is_held or self._is_stalled or self._is_resting or self._is_throttled or self._is_at_end:
            self._settle()

    def _take_turn(self) -> bool:
        """Hand out the lines of one turn; return whether more may be waiting for another."""
        enough = self.octets_written + OUTPUT_OCTETS
        for _ in range(LINES_PER_TURN):
            if self._is_held or self._is_stalled or self._is_closing:
                return False
            line = self.lines.next()
            if line is None:
                if self.lines.pending_octets:
                    self.line_unfinished()
                return False
            if isinstance(line, RunawayLine):
                self.runaway_received()
            else:
                self.line_received(line)
            if self.octets_written >= enough:
                break
        return True

    def _pump_on(self) -> None:
        self._is_resting = False
        self._pump()

    def _settle(self) -> None:
        """Stop or go on reading, and end a half-closed connection that has had all its answers."""
        if self._is_closing:
            return
        is_waiting = self._is_held or self._is_stalled or self._is_resting
        # Under TLS even the client's empty records can make us answer: one that does not read is not read.
        if (is_waiting and self.lines.pending_octets > INPUT_OCTETS) or (
            self._is_stalled and self._channel is not None
        ):
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
        output, octets = self._output, self._output_octets
        if not output or self._transport is None:
            return
        self._output = []
        self._output_octets = 0
        self.octets_written += octets
        if self._channel is None:
            if len(output) == 1:
                self._transport.write(output[0])
            elif octets >= LARGE_PIECE_OCTETS * len(output):
                self._transport.writelines(output)
            else:
                self._transport.write(b"".join(output))
            if not self._is_stalled:  # or `pause_writing` would have been called: the kernel has all of it
                self.octets_sent = self.octets_written
                self.sent()
                return
        else:
            self._channel.send(b"".join(output))
            self._write_ciphertext()
        self._note_sent()

    def _note_sent(self) -> None:
        # What waits encrypted is never less than its plain text, so this never says too much.
        octets_sent = self.octets_written - self.unsent_octets()
        if octets_sent > self.octets_sent:
            self.octets_sent = octets_sent
            self.sent()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
