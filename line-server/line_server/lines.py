"""Cut a stream of octets into CRLF lines, in bounded memory."""

from dataclasses import dataclass

RUNAWAY_OCTETS = 64 * 1024
"""A line longer than this is no slip of a client any more: the connection ends (P6)."""


@dataclass(frozen=True, slots=True)
class OverlongLine:
    """A line over the limit, told once; `head` holds its first octets, the rest is thrown away."""

    head: bytes


class RunawayLine:
    """More than `RUNAWAY_OCTETS` without CRLF: nothing more will be read from this stream."""


RUNAWAY = RunawayLine()


class LineBuffer:
    """Octets in, lines out; what comes out never depends on how the stream was cut into chunks.

    Only CRLF ends a line: a lone CR or LF is an ordinary octet of it. `max_line_octets` counts the
    CRLF. At most that many octets of an unfinished line are kept.
    """

    __slots__ = ("_data", "_discarded", "_head", "_start", "max_line_octets")

    def __init__(self, max_line_octets: int) -> None:
        self.max_line_octets = max_line_octets
        self._data = b""
        self._start = 0
        self._head: bytes | None = None  # of an over-long line whose end has not come yet
        self._discarded = 0

    @property
    def pending_octets(self) -> int:
        """How many octets wait to be taken as lines."""
        return len(self._data) - self._start

    def feed(self, chunk: bytes) -> None:
        """Take octets as they came from the network."""
        if self._start == len(self._data):
            self._data = chunk
        else:
            self._data = self._data[self._start :] + chunk
        self._start = 0

    def next(self) -> bytes | OverlongLine | RunawayLine | None:
        """Return the next line without its CRLF, or None until more has come."""
        start = self._start
        if start == len(self._data):
            return None
        end = self._data.find(b"\r\n", start)
        if end < 0:
            return self._keep_unfinished()
        self._start = end + 2
        if self._head is None and end + 2 - start <= self.max_line_octets:
            return self._data[start:end]
        return self._end_overlong(start, end)

    def _end_overlong(self, start: int, end: int) -> OverlongLine | RunawayLine:
        head = self._head if self._head is not None else self._data[start : start + self.max_line_octets]
        octets = self._discarded + end - start
        self._head, self._discarded = None, 0
        return RUNAWAY if octets > RUNAWAY_OCTETS else OverlongLine(head)

    def _keep_unfinished(self) -> RunawayLine | None:
        # One octet may be the CR of a CRLF that the next chunk completes.
        if self._head is None:
            if self.pending_octets < self.max_line_octets:
                return None
            self._head = self._data[self._start : self._start + self.max_line_octets]
        keep = 1 if self._data.endswith(b"\r") and self.pending_octets else 0
        self._discarded += self.pending_octets - keep
        self._data, self._start = self._data[len(self._data) - keep :], 0
        return RUNAWAY if self._discarded > RUNAWAY_OCTETS else None
