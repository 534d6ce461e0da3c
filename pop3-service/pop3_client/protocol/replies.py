"""Replies of a POP3 server, read from octets that may be cut anywhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pop3_client.protocol.errors import LoginPutOff, Misbehaved, Refused, WrongLogin

LONGEST_STATUS_OCTETS = 4096
"""RFC 2449, section 4, allows 512; some servers explain themselves at length."""

LONGEST_LISTED_OCTETS = 1024
"""A line of LIST, UIDL or CAPA: a unique-id may be a file name, which has at most 255 octets."""

MOST_LISTED = 500_000
"""Lines of one listing. More would take over 100 MB."""

_STATUS = re.compile(rb"(\+OK|-ERR)(?:[ \t]+(.*))?", re.DOTALL | re.IGNORECASE)
_RESPONSE_CODE = re.compile(r"\[([!-Z\\^-~]+)\]\s*")
_SHOWN_CHARACTERS = 200

_PUT_OFF_CODES = frozenset({"IN-USE", "SYS/TEMP", "SYS/PERM", "LOGIN-DELAY"})

# What servers without response codes say when a right password cannot log in now.
_PUT_OFF_WORDS = re.compile(
    r"\block|\bin use\b|\bbusy\b|\btemporar|\bunavailable\b|\btry (?:again )?later\b", re.IGNORECASE
)

_END = b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Status:
    """The first line of a reply: whether it is `+OK`, its response code (RFC 2449), its text."""

    is_positive: bool
    code: str
    text: str

    @classmethod
    def of(cls, line: bytes) -> "Status":
        """Return what a line says, its end included. Raises `Misbehaved`."""
        found = _STATUS.fullmatch(line.rstrip(b"\r\n"))
        if found is None:
            raise Misbehaved("a reply begins with neither +OK nor -ERR")
        text = shown(found[2] or b"")
        code = _RESPONSE_CODE.match(text)
        return cls(
            is_positive=found[1].upper() == b"+OK",
            code=code[1].upper() if code else "",
            text=text,
        )

    def login_refusal(self, keyword: str, password: str) -> Refused:
        """Return the error to raise for this negative reply to a login with `password`.

        Its text leaves the reply out if that quotes the password.
        """
        is_put_off = self.code in _PUT_OFF_CODES if self.code else _PUT_OFF_WORDS.search(self.text)
        text = "" if password in self.text else self.text
        return (LoginPutOff if is_put_off else WrongLogin)(keyword, text)


def shown(octets: bytes) -> str:
    """Return a server's octets as text for people: printable, and not too long."""
    text = octets.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    return "".join(one if one.isprintable() else " " for one in text).strip()


class Multiline:
    """The content of a multi-line reply: byte-stuffing undone, without the termination line (RFC 1939).

    It keeps at most four octets between two calls.
    """

    __slots__ = ("_held_back", "_to_drop", "has_ended", "rest")

    def __init__(self) -> None:
        self.has_ended = False
        self.rest = b""
        """What came after the termination line."""
        # The content begins a line, as if a line end had come before it.
        self._held_back = b"\r\n"
        self._to_drop = 2

    def feed(self, chunk: bytes) -> bytes:
        """Return the content in the next octets of the reply, with CRLF line ends as they came."""
        octets = self._held_back + chunk
        end = octets.find(_END)
        if end >= 0:
            self.has_ended = True
            self.rest = octets[end + len(_END) :]
            octets = octets[: end + 2]
        else:
            kept = next(size for size in range(4, -1, -1) if octets.endswith(_END[:size]))
            cut = len(octets) - kept
            self._held_back, octets = octets[cut:], octets[:cut]
        content = octets.replace(b"\r\n.", b"\r\n")[self._to_drop :]
        self._to_drop = max(0, self._to_drop - len(octets))
        return content


class Lines:
    """The lines in a multi-line reply's content, without their ends, each of bounded length."""

    __slots__ = ("_count", "_unended")

    def __init__(self) -> None:
        self._unended = b""
        self._count = 0

    def feed(self, content: bytes) -> Iterator[bytes]:
        """Yield the lines that are complete. Raises `Misbehaved` if one is too long or there are too many."""
        *lines, self._unended = (self._unended + content).split(b"\n")
        self._count += len(lines)
        if self._count > MOST_LISTED:
            raise Misbehaved(f"a listing has more than {MOST_LISTED:,} lines")
        if len(self._unended) > LONGEST_LISTED_OCTETS or any(
            len(one) > LONGEST_LISTED_OCTETS for one in lines
        ):
            raise Misbehaved(f"a listing has a line of more than {LONGEST_LISTED_OCTETS:,} octets")
        return (line.removesuffix(b"\r") for line in lines)
