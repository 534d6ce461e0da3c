"""Cut a stream of octets into lines, in bounded memory."""

from collections.abc import Callable
from dataclasses import dataclass

RUNAWAY_OCTETS = 64 * 1024
"""A longer line is no mistake of a client any more: the connection ends (P6)."""


@dataclass(frozen=True, slots=True)
class OverlongLine:
    """A line over the limit; `head` is its first octets, the rest is discarded."""

    head: bytes


class RunawayLine:
    """More than `RUNAWAY_OCTETS` without an end of line: nothing more is read from this stream."""


RUNAWAY = RunawayLine()


class LineBuffer:
    """Octets in, lines out, however the stream was cut into chunks.

    CRLF ends a line, and with `takes_bare_lf` a lone LF too; a lone CR is an ordinary octet.
    `max_line_octets` includes the line's end. For a longer line `limit_of` gets the first `max_line_octets`,
    and returns how many this line may have. Less than its limit is kept of an unfinished line.
    """

    __slots__ = (
        "_data",
        "_discarded",
        "_end",
        "_end_octets",
        "_head",
        "_limit_of",
        "_optional",
        "_owed_end",
        "_start",
        "has_part",
        "is_empty",
        "max_line_octets",
    )

    def __init__(
        self,
        max_line_octets: int,
        *,
        takes_bare_lf: bool = False,
        limit_of: Callable[[bytes], int] | None = None,
    ) -> None:
        self.max_line_octets = max_line_octets
        self._limit_of = limit_of
        self._end = b"\n" if takes_bare_lf else b"\r\n"
        self._end_octets = len(self._end)
        self._optional = ord("\r") if takes_bare_lf else None  # the optional octet before an end
        self._data = b""
        self._start = 0
        self.is_empty = True
        """Whether no octets are left."""
        self.has_part = False
        """Whether only a part of a line is left (`unfinished`), after `next` has returned None."""
        self._head: bytes | None = None  # of an over-long line whose end has not come
        self._discarded = 0
        self._owed_end = b""  # the end that may still come after `end_line`

    @property
    def pending_octets(self) -> int:
        """How many octets are left."""
        return len(self._data) - self._start

    @property
    def unfinished(self) -> bytes:
        """The part of a line within its limit that is left, after `next` has returned None."""
        return self._data[self._start :] if self._head is None else b""

    def feed(self, chunk: bytes) -> None:
        """Add octets from the network."""
        if self._owed_end:
            chunk = self._without_owed_end(chunk)
        self.has_part = False
        self._data = chunk if self.is_empty else self._data[self._start :] + chunk
        self._start = 0
        self.is_empty = not self._data

    def clear(self) -> None:
        """Discard all octets that are left."""
        self._data, self._start = b"", 0
        self.is_empty = True
        self._head, self._discarded = None, 0
        self._owed_end = b""
        self.has_part = False

    def end_line(self) -> None:
        """Make the part of a line that is left a whole line; its end is ignored if it still comes."""
        self.feed(b"\r\n")
        self._owed_end = b"\r\n"

    def _without_owed_end(self, chunk: bytes) -> bytes:
        if self._owed_end == b"\n":
            chunk = b"\r" + chunk  # the CR that was kept
        if chunk in (b"", b"\r"):
            self._owed_end = b"\r\n"[len(chunk) :]
            return b""
        self._owed_end = b""
        return chunk.removeprefix(b"\r\n" if chunk.startswith(b"\r") else b"\n")

    def next(self) -> bytes | OverlongLine | RunawayLine | None:
        """Return the next line without its end, or None until more has come."""
        if self.is_empty:
            return None
        data, start = self._data, self._start
        end = data.find(self._end, start)
        if end > start and data[end - 1] == self._optional:
            end -= 1
            past = end + 2
        elif end < 0:
            return self._keep_unfinished()
        else:
            past = end + self._end_octets
        self._start = past
        self.is_empty = past == len(data)
        if self._head is None and (
            past - start <= self.max_line_octets or past - start <= self._limit(start)
        ):
            return data[start:end]
        return self._end_overlong(start, end)

    def give_back(self, line: bytes) -> None:
        """Make `line` the next one again: the last that `next` returned, with nothing fed since."""
        self._start -= len(line) + (2 if self._data.endswith(b"\r\n", 0, self._start) else 1)
        self.is_empty = False

    def repetitions(self, line: bytes, most: int) -> int:
        """Return how many of the next lines equal `line`, `most` at most."""
        data, at, whole = self._data, self._start, line + self._end
        count = 0
        while count < most and data.startswith(whole, at):
            at += len(whole)
            count += 1
        return count

    def skip_repetitions(self, line: bytes, count: int) -> None:
        """Take the next `count` lines, which equal `line`."""
        self._start += count * len(line + self._end)
        self.is_empty = self._start == len(self._data)

    def _limit(self, start: int) -> int:
        limit = self.max_line_octets
        return limit if self._limit_of is None else max(limit, self._limit_of(self._head_from(start)))

    def _head_from(self, start: int) -> bytes:
        return self._data[start : start + self.max_line_octets]

    def _end_overlong(self, start: int, end: int) -> OverlongLine | RunawayLine:
        head = self._head if self._head is not None else self._head_from(start)
        octets = self._discarded + end - start
        self._head, self._discarded = None, 0
        return RUNAWAY if octets > RUNAWAY_OCTETS else OverlongLine(head)

    def _keep_unfinished(self) -> RunawayLine | None:
        # The last octet may be the CR of a CRLF that the next chunk completes.
        if self._head is None:
            if self.pending_octets < self.max_line_octets or self.pending_octets < self._limit(self._start):
                self.has_part = True
                return None
            self._head = self._head_from(self._start)
        keep = 1 if self._data.endswith(b"\r") and self.pending_octets else 0
        self._discarded += self.pending_octets - keep
        self._data, self._start = self._data[len(self._data) - keep :], 0
        self.is_empty = not keep
        return RUNAWAY if self._discarded > RUNAWAY_OCTETS else None
