"""One TCP connection that speaks lines: hands them out one by one, and sends replies under back-pressure."""

import asyncio
import ssl
from enum import Enum, auto
from typing import cast

from line_server.lines import LineBuffer, OverlongLine, RunawayLine
from line_server.listener import plain_host
from line_server.listener_options import PLAIN, ListenerOptions
from line_server.output import Output
from line_server.tls import TlsChannel, TlsError
from line_server.turns import bulk

INPUT_OCTETS = 64 * 1024
"""Unanswered input of one connection in memory; with more we stop reading from it."""

LINES_PER_TURN = 32
"""Lines of one connection that are answered in one turn of the event loop. One read may contain tens of
thousands, and all other connections would wait for them. Few clients pipeline more than this."""

OUTPUT_OCTETS = 64 * 1024
"""Replies that are gathered before they are written; with more a connection's turn is over too."""


class Pump(Enum):
    """The state of handing out lines."""

    IDLE = auto()
    RUNNING = auto()
    RESTING = auto()
    """It has had its share of this turn of the event loop, and goes on in another."""


# Read for every reply: names of the module cost a third of attributes of the class.
_IDLE, _RUNNING, _RESTING = Pump


class LineConnection(asyncio.Protocol):
    """Base of a protocol's connection: lines in, replies out.

    A subclass answers `line_received` with `send`. If it has to wait for something it calls `hold`, and
    `release` after the reply. Meanwhile further lines wait, and after `INPUT_OCTETS` of them nothing more is
    read. No line is handed out while replies wait for the client to read them. A client that half-closes gets
    all its replies.

    `lines` cuts the input into lines. `options` are those of the port. The connection is in `connections` as
    long as it is open.
    """

    # Ten thousand idle connections are usual: each takes 500 octets less without a dictionary.
    __slots__ = (
        "__weakref__",
        "_connections",
        "_is_held",
        "_is_throttled",
        "_options",
        "_pump_state",
        "address",
        "is_at_end",
        "is_closing",
        "is_lost",
        "lines",
        "output",
    )

    def __init__(
        self, lines: LineBuffer, connections: "set[LineConnection]", options: ListenerOptions = PLAIN
    ) -> None:
        self.lines = lines
        self.output = Output()
        self.address = ""
        self.is_lost = True
        """Whether the connection has not begun or is gone: nothing reaches the client."""
        self.is_at_end = False
        """Whether the client sends nothing more; it may still be reading."""
        self.is_closing = False
        """Whether the connection is closing or closed: nothing more is answered."""
        self._connections = connections
        self._options = options
        self._pump_state = _IDLE
        self._is_held = self._is_throttled = False

    # What a subclass gives

    def opened(self) -> None:
        """Begin: the `address` is known, and a greeting may be sent."""

    def turned_away(self, reason: str) -> None:
        """Report a connection that is refused before its first line, or fails in its TLS handshake."""

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer one line, given without its end."""

    def line_unfinished(self) -> None:
        """Report that only a part of a line has come (`lines.unfinished`)."""

    def runaway_received(self) -> None:
        """Answer a line without an end (RUNAWAY_OCTETS); closes the connection by default."""
        self.hang_up(linger=True)

    def failed(self, error: Exception) -> None:
        """Report a bug in answering a line; the connection is aborted afterwards unless this hangs up."""

    def sent(self) -> None:
        """Report that `output.octets_sent` has grown."""

    def closed(self) -> None:
        """Report the connection's end, by either side."""

    # What a subclass uses

    def send(self, octets: bytes) -> None:
        """Send a reply, together with others of the same turn of the event loop.

        After `hang_up` it is dropped.
        """
        if self.is_closing:
            return
        is_much = self.output.gather(octets) > OUTPUT_OCTETS
        if (is_much or self._pump_state is not _RUNNING) and self.output.flush():
            self.sent()

    def hold(self) -> None:
        """Hand out no further line until `release`."""
        self._is_held = True

    def release(self) -> None:
        """Go on with the lines that have waited."""
        self._is_held = False
        self._pump()

    def end_line(self) -> None:
        """Answer the part of a line that has come as if it were the whole line."""
        self.lines.end_line()
        self._pump()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS with the next octet; what was sent before goes out in the clear.

        What the client sent before the handshake is discarded: it may be from an attacker (the command
        injection of CVE-2011-0411).
        """
        if self.output.flush():
            self.sent()
        self.lines.clear()
        self.output.start_tls(context)

    def hang_up(self, last: bytes = b"", *, linger: bool = False) -> None:
        """Send all replies, and `last`, then close.

        With `linger` the client may still be sending. It gets the replies and our end of stream, and its
        input is discarded: closing with unread input would reset the connection, and the replies would be
        lost.
        """
        if self.is_closing or self.is_lost:
            return
        if last:
            self.send(last)
        self.is_closing = True
        if self.output.flush():
            self.sent()
        if self._is_throttled:
            self._settle()
        channel = self.output.channel
        if channel is None or channel.is_established or self.is_at_end:
            self.output.close(linger=linger and not self.is_at_end)
        else:
            self.output.close_after_handshake(linger=linger)

    def abort(self) -> None:
        """Close now; what has not been sent is lost."""
        self.is_closing = True
        if self.output.transport is not None:
            self.output.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio)."""
        self.output.begin(cast(asyncio.Transport, transport))
        self.is_lost = False
        if not self.address:  # else a proxy's header has given it
            peer = transport.get_extra_info("peername")
            self.address = plain_host(peer[0]) if peer else ""
        self._connections.add(self)
        if self._options.tls is not None:
            self.output.start_tls(self._options.tls())
        self.opened()

    def data_received(self, data: bytes) -> None:
        """Take octets from the network (asyncio)."""
        if self.output.channel is not None:
            data = self._decrypted(data, self.output.channel)
        if self.is_closing:
            return
        self.lines.feed(data)
        self._pump()

    def eof_received(self) -> bool:
        """Take the client's end of stream; it may still be reading (asyncio)."""
        self.is_at_end = True
        if self.is_closing:
            return False
        self._pump()
        return True

    def pause_writing(self) -> None:
        """Stop handing out lines: the client reads more slowly than we send (asyncio)."""
        self.output.is_stalled = True

    def resume_writing(self) -> None:
        """Go on: the kernel has taken everything (asyncio)."""
        self.output.resume()
        self.sent()
        # Not now: asyncio's transport must not be closed from within this very callback.
        asyncio.get_running_loop().call_soon(self._pump)

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        self.output.end()
        self.is_closing = self.is_lost = True
        self._connections.discard(self)
        self.closed()

    # Inside

    def _decrypted(self, data: bytes, channel: TlsChannel) -> bytes:
        was_established = channel.is_established
        if self.is_closing and was_established:
            return b""
        try:
            plain = channel.receive(data)
        except TlsError as error:
            self.is_closing = True
            self.turned_away(f"TLS: {error}")
            self.output.close(linger=False)  # sends the alert first
            return b""
        self.output.write_ciphertext()
        if channel.is_established and not was_established and self.output.handshake_completed():
            self.sent()
        if channel.is_ended:
            self.is_at_end = True
        return plain

    def _pump(self) -> None:
        """Hand out the lines that have come, and send the replies."""
        if self._pump_state is not _IDLE:
            return
        output = self.output
        self._pump_state = _RUNNING
        has_more = False
        try:
            has_more = self._take_turn(output)
        except Exception as error:
            self.failed(error)
            if not self.is_closing:
                self.abort()
        finally:
            self._pump_state = _RESTING if has_more else _IDLE
        if has_more:
            bulk().add(self._pump_on)
        if output.flush():
            self.sent()
        if has_more or self._is_held or output.is_stalled or self._is_throttled or self.is_at_end:
            self._settle()

    def _take_turn(self, output: Output) -> bool:
        """Hand out the lines of one turn; return whether more may be waiting for another."""
        lines = self.lines
        enough = output.octets_written + OUTPUT_OCTETS
        for _ in range(LINES_PER_TURN):
            if self._is_held or output.is_stalled or self.is_closing:
                return False
            line = lines.next()
            if line is None:
                if lines.has_part:
                    self.line_unfinished()
                return False
            if isinstance(line, RunawayLine):
                self.runaway_received()
            else:
                self.line_received(line)
            if lines.is_empty:
                return False
            if output.octets_written >= enough:
                break
        return True

    def _pump_on(self) -> None:
        self._pump_state = _IDLE
        self._pump()

    def _settle(self) -> None:
        """Stop or resume reading, and close a half-closed connection that has had all its replies."""
        output = self.output
        if output.transport is None:
            return
        is_waiting = self._is_held or output.is_stalled or self._pump_state is _RESTING
        # Under TLS even empty records may cause answers: from a client that does not read nothing is read.
        must_stop = (is_waiting and self.lines.pending_octets > INPUT_OCTETS) or (
            output.is_stalled and output.channel is not None
        )
        must_stop = must_stop and not self.is_closing
        if must_stop != self._is_throttled:
            self._is_throttled = must_stop
            if must_stop:
                output.transport.pause_reading()
            else:
                output.transport.resume_reading()
        if self.is_at_end and not is_waiting and not self.is_closing:
            self.hang_up()
