"""The one parser of PEEP replies: octets in, replies out (PEEP section 2.2)."""

import re
from dataclasses import dataclass
from enum import Enum

from peep_client.protocol.errors import NotPeep

MAX_REPLY_LINE_OCTETS = 512
"""The longest line of a reply, CRLF included."""

MAX_REPLY_LINES = 1_000_000
"""The most lines of one reply: more than the users of any Peep; it bounds what a faulty server can cost."""

_SHOWN_OCTETS = 40

_TLS_ALERT = b"\x15\x03"
"""How the alert begins that a TLS server sends to a client without TLS."""

_NEGATIVE = re.compile(r"-([0-9]{1,3})")
_COUNT = re.compile(r"\+([0-9]{1,9})")


class Shape(Enum):
    """Whether lines follow the first line of a positive reply: `+3` is a number or announces three lines."""

    SINGLE_LINE = "single-line"
    MULTI_LINE = "multi-line"


@dataclass(frozen=True, slots=True)
class Reply:
    r"""One reply, decoded from UTF-8; invalid octets appear as `\xNN`."""

    status: str
    """The first line without CRLF: `+`, `+600` or `-4`."""
    lines: tuple[str, ...] = ()
    """The other lines of a multi-line reply."""

    @property
    def is_positive(self) -> bool:
        """Whether the reply begins with `+`."""
        return self.status.startswith("+")

    @property
    def code(self) -> int | None:
        """The code of a negative reply; None for a positive one."""
        return None if self.is_positive else int(self.status[1:])

    @property
    def text(self) -> str:
        """The text after the `+`, for example `600`."""
        return self.status[1:]


class ReplyParser:
    """Cuts a server's octets into replies, however they are divided into chunks.

    The caller names the shape of each reply, in the order of its commands.
    """

    __slots__ = ("_buffer", "_lines", "_max_lines", "_status", "_wanted")

    def __init__(self, max_lines: int = MAX_REPLY_LINES) -> None:
        self._max_lines = max_lines
        self._buffer = bytearray()
        self._status: str | None = None
        self._wanted = 0
        self._lines: list[str] = []

    @property
    def has_octets(self) -> bool:
        """Whether octets have arrived that `next_reply` has not returned yet."""
        return bool(self._buffer) or self._status is not None

    def feed(self, octets: bytes) -> None:
        """Add octets. Call `next_reply` until it returns None before feeding more."""
        self._buffer += octets

    def next_reply(self, shape: Shape) -> Reply | None:
        """Return the next reply, or None if it is not complete yet.

        Raises `NotPeep` for a first line without a sign, a malformed code or count, a line over 512 octets
        or with a lone CR or LF, and more lines than allowed.
        """
        if self._status is None:
            self._check_first_octets()
            line = self._next_line()
            if line is None:
                return None
            status = _status(line)
            if shape is Shape.SINGLE_LINE or status.startswith("-"):
                return Reply(status)
            self._wanted = self._count(status)
            self._status = status
        while len(self._lines) < self._wanted:
            line = self._next_line()
            if line is None:
                return None
            self._lines.append(_text(line))
        reply = Reply(self._status, tuple(self._lines))
        self._status, self._lines = None, []
        return reply

    def _check_first_octets(self) -> None:
        # Checked before the line is complete: another protocol may never send a CRLF.
        if self._buffer[:2] == _TLS_ALERT:
            raise NotPeep("the server expects TLS")
        if self._buffer and self._buffer[0] not in b"+-":
            raise NotPeep(f"a line that is not a PEEP reply{_began(self._buffer)}")

    def _next_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, MAX_REPLY_LINE_OCTETS)
        if end == -1:
            if len(self._buffer) >= MAX_REPLY_LINE_OCTETS:
                raise NotPeep(f"a line of over {MAX_REPLY_LINE_OCTETS} octets{_began(self._buffer)}")
            return None
        line = bytes(self._buffer[:end])
        # Deleting from the front of a bytearray does not move the rest.
        del self._buffer[: end + 2]
        if b"\r" in line or b"\n" in line:
            raise NotPeep(f"a line with a lone CR or LF in it{_began(line)}")
        return line

    def _count(self, status: str) -> int:
        match = _COUNT.fullmatch(status)
        if match is None:
            raise NotPeep(f"no number of lines in the first line{_began(status.encode())}")
        count = int(match[1])
        if count > self._max_lines:
            raise NotPeep(f"a reply of {count} lines; at most {self._max_lines} are read")
        return count


def _status(line: bytes) -> str:
    status = _text(line)
    if status.startswith("+") or _NEGATIVE.fullmatch(status):
        return status
    raise NotPeep(f"a line that is not a PEEP reply{_began(line)}")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


def _began(octets: bytes | bytearray) -> str:
    # `repr` escapes whatever could control a terminal.
    return f", beginning with {bytes(octets[:_SHOWN_OCTETS])!r}" if octets else ""
