"""Two hundred messages as they lie in Maildirs: what the benchmarks fetch, and what clients stumble over.

Headers are ASCII: mail with 8-bit headers is not sent as it lies there (RFC 6856).
"""

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from make_maildirs import message as everyday_message
from make_maildirs import text

MESSAGES = 200

_EVERYDAY = 150
_OF_EACH_ODD_KIND = 5
_FIRST_SECOND = 1_700_000_000
# RFC 5322 allows 998 octets; what programs write is longer.
_LONG_LINE_OCTETS = 2000


@dataclass(frozen=True, slots=True)
class LifelikeMessage:
    """A message and the file that it lies in; `place` is `new` or `cur`."""

    place: str
    name: str
    content: bytes


def _crlf(lines: bytes) -> bytes:
    return lines.replace(b"\n", b"\r\n")


def _opening_dots(rng: random.Random) -> bytes:
    return b".\n..\n...\n.word\n\n. \n" + text(rng, 300) + b".\n.\n"


def _crlf_file(rng: random.Random) -> bytes:
    return _crlf(text(rng, 2000) + b".\n..two\n")


def _mixed_line_ends(rng: random.Random) -> bytes:
    return b"one\r\n" + text(rng, 200) + _crlf(text(rng, 200)) + b".\r\n.\nlast\r\n"


def _no_last_line_end(rng: random.Random) -> bytes:
    return text(rng, 500) + rng.choice((b"the last line", b".", b".."))


def _long_lines(rng: random.Random) -> bytes:
    line = text(rng, _LONG_LINE_OCTETS).replace(b"\n", b" ")[:_LONG_LINE_OCTETS]
    return b"\n".join((line, b"." + line[1:], line, b""))


def _eight_bit_body(rng: random.Random) -> bytes:
    octets = bytes(octet for octet in rng.randbytes(4000) if octet >= 0xA0)
    return "Gr\u00fc\u00dfe aus K\u00f6ln, \u65e5\u672c\u8a9e\n".encode() + octets + b"\n"


def _empty_body(_rng: random.Random) -> bytes:
    return b""


def _blank_lines(rng: random.Random) -> bytes:
    return b"\n\n" + text(rng, 100) + b" \n\t\n\n\n\n"


def _lines_of_a_mailbox_file(rng: random.Random) -> bytes:
    return b"From here on\n>From there\n\nFrom a@example.org Mon Mar  2 10:00:00 2026\n" + text(rng, 300)


def _one_short_line(_rng: random.Random) -> bytes:
    return b"x\n"


_ODD_BODIES: tuple[Callable[[random.Random], bytes], ...] = (
    _opening_dots,
    _crlf_file,
    _mixed_line_ends,
    _no_last_line_end,
    _long_lines,
    _eight_bit_body,
    _empty_body,
    _blank_lines,
    _lines_of_a_mailbox_file,
    _one_short_line,
)


def _odd_message(body: Callable[[random.Random], bytes], rng: random.Random, number: int) -> bytes:
    head = (
        f"Return-Path: <sender{number}@example.org>\n"
        f"From: Sender {number} <sender{number}@example.org>\n"
        f"To: user@example.com\nSubject: {body.__name__.strip('_').replace('_', ' ')} {number}\n"
        f"Message-ID: <{number}.{rng.getrandbits(64):016x}@example.org>\n"
        "Content-Type: text/plain; charset=utf-8\n\n"
    ).encode()
    # A file has the line ends of whoever wrote it, in its headers too.
    return (_crlf(head) if body is _crlf_file else head) + body(rng)


def _place_and_name(number: int, content: bytes, rng: random.Random) -> tuple[str, str]:
    unique = f"{_FIRST_SECOND + number}.M{rng.randrange(10**6)}P{1000 + number}.mx1"
    wire_octets = len(normalised(content)) + normalised(content).count(b"\n")
    sizes = (
        "",
        f",S={len(content)}",
        f",S={len(content)},W={wire_octets}",
        # What a filter leaves behind that changed the file and kept its name.
        f",S={len(content) + 7},W=1",
    )[number % 4]
    return ("new", unique + sizes) if number % 3 == 0 else ("cur", f"{unique}{sizes}:2,S")


@functools.cache
def lifelike_mail() -> tuple[LifelikeMessage, ...]:
    """Return the 200 messages, the same in each run, in the order in which a server lists them."""
    rng = random.Random("lifelike")
    contents = [everyday_message(rng, "user", number) for number in range(_EVERYDAY)]
    contents += [
        _odd_message(body, rng, _EVERYDAY + number)
        for number, body in enumerate(_ODD_BODIES * _OF_EACH_ODD_KIND)
    ]
    rng.shuffle(contents)
    return tuple(
        LifelikeMessage(*_place_and_name(number, content, rng), content)
        for number, content in enumerate(contents)
    )


def deliver(maildir: Path) -> None:
    """Make `maildir` hold the 200 messages."""
    for folder in ("new", "cur", "tmp"):
        (maildir / folder).mkdir(parents=True, exist_ok=True)
    for message in lifelike_mail():
        (maildir / message.place / message.name).write_bytes(message.content)


def normalised(content: bytes) -> bytes:
    """Return a message with LF at the end of each line, the last one included."""
    lines = content.replace(b"\r\n", b"\n")
    return lines if lines.endswith(b"\n") else lines + b"\n"


def first_difference(stored: Sequence[bytes], *, in_order: bool = False) -> str:
    """Say in a line where messages that a client stored differ from the 200; empty where they do not.

    Line ends are normalised on both sides. Their order counts only with `in_order`.
    """
    wanted = [normalised(message.content) for message in lifelike_mail()]
    found = [normalised(content) for content in stored]
    if len(found) != len(wanted):
        return f"{len(found)} messages instead of {len(wanted)}"
    if not in_order:
        # Sorted by the line that no two messages share, so that a changed message meets its original.
        wanted.sort(key=_message_id)
        found.sort(key=_message_id)
    for original, copy in zip(wanted, found, strict=True):
        if original != copy:
            return _differing_line(original, copy)
    return ""


def _message_id(content: bytes) -> bytes:
    _, _, rest = content.partition(b"\nMessage-ID: ")
    return rest.partition(b"\n")[0]


def _differing_line(original: bytes, copy: bytes) -> str:
    pairs = zip(original.splitlines(True), copy.splitlines(True), strict=False)
    for number, (line, other) in enumerate(pairs, 1):
        if line != other:
            return f"line {number} of {_message_id(original)!r}: {line[:80]!r} became {other[:80]!r}"
    return f"{_message_id(original)!r} has {len(copy)} octets instead of {len(original)}"
