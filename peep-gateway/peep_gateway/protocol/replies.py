"""PEEP replies, each one bytes object (PEEP section 2.2)."""

from dataclasses import dataclass
from enum import Enum

MAX_REPLY_LINE_OCTETS = 512
"""The longest line of a reply, its CRLF counted."""


@dataclass(frozen=True, slots=True)
class Lines:
    """A whole multi-line reply in wire form: all sessions that it answers share the octets."""

    octets: bytes


Answer = None | int | str | Lines
"""What a carried out command has to say, before it is put into wire form."""


class NegativeCode(Enum):
    """The number after the `-` of a negative reply."""

    UNKNOWN_COMMAND = 0
    INVALID_SYNTAX = 1
    WRONG_CREDENTIALS = 2
    USER_EXISTS = 3
    UNKNOWN_USER = 4
    """Or session (P17)."""
    INVALID_MAX_CONNECTIONS = 5
    INVALID_PATH = 6
    INVALID_TIMEOUT = 7
    SERVICE_UNAVAILABLE = 8
    """Redis is out of reach (P16), or there is no room (P19): our only addition to the text's codes."""


class ReplyKind(Enum):
    """What follows the `+` of a positive reply; the values are the words of PEEP section 6."""

    NONE = "none"
    INTEGER = "integer"
    STRING = "string"
    MULTI_LINE = "multi-line string"


def negative(code: NegativeCode) -> bytes:
    """Return the negative reply with this code."""
    return b"-%d\r\n" % code.value


def positive(kind: ReplyKind, answer: Answer) -> bytes:
    """Return the positive reply of this kind, in UTF-8.

    Raises `TypeError` when the answer is of another kind, and `ValueError` when it cannot be said in
    lines of at most `MAX_REPLY_LINE_OCTETS`: both are bugs, never a client's doing.
    """
    match kind, answer:
        case ReplyKind.NONE, None:
            return b"+\r\n"
        case (ReplyKind.INTEGER, int()) | (ReplyKind.STRING, str()):
            return wire_form([f"+{answer}"])
        case ReplyKind.MULTI_LINE, Lines():
            return answer.octets
    raise TypeError(f"{type(answer).__name__} is no answer for a {kind.value} reply")


def multiline(lines: list[str]) -> bytes:
    """Return `+n` and the n lines (PEEP section 2.2). Raises `ValueError` as `positive` does."""
    return wire_form([f"+{len(lines)}", *lines])


def wire_form(lines: list[str]) -> bytes:
    """Return lines in UTF-8, each with its CRLF. Raises `ValueError` as `positive` does."""
    octets = "\r\n".join([*lines, ""]).encode()
    # Thousands of names pass here at once, so the text is looked at as a whole: a line end inside
    # a line would make the client read every reply that follows as the answer to something else.
    if octets.count(b"\n") != len(lines) or octets.count(b"\r") != len(lines):
        raise ValueError("a line of a reply cannot hold CR or LF")
    if max(map(len, octets.split(b"\n"))) >= MAX_REPLY_LINE_OCTETS:
        raise ValueError(f"a line of a reply is over {MAX_REPLY_LINE_OCTETS} octets")
    return octets
