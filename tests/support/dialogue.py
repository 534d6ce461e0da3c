"""Conversations written as `C:` and `S:` lines, played against anything that speaks CRLF lines.

    C: STAT          the client sends this line, CRLF added
    S: +OK 2 320     the server must answer exactly this line
    S: -ERR ...      a line that begins so; a space and three dots stand for any rest
    S: <closed>      the server must have closed the connection
    # a remark       not part of the conversation; empty lines are not either

`C:` lines in a row are pipelined: they are sent before any answer is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_ANY_REST = " ..."


class Peer(Protocol):
    """The server's side of a conversation: an engine, or a socket to a real server."""

    def send(self, octets: bytes) -> None:
        """Send octets to the server."""

    def read_line(self) -> bytes:
        """Return the next line with its CRLF; empty when the server has closed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a conversation, and who speaks it."""

    is_client: bool
    text: str


def steps(conversation: str) -> Iterator[Step]:
    """Yield the lines of `conversation`; raises ValueError for one that nobody speaks."""
    for written in conversation.splitlines():
        line = written.strip()
        if not line or line.startswith("#"):
            continue
        speaker, colon, text = line.partition(":")
        if speaker not in ("C", "S") or not colon:
            raise ValueError(f"neither C: nor S: nor a remark: {line}")
        yield Step(speaker == "C", text.removeprefix(" "))


def play(conversation: str, peer: Peer) -> None:
    """Hold `conversation` with `peer`; fails at the first line that differs."""
    for step in steps(conversation):
        if step.is_client:
            peer.send(step.text.encode() + b"\r\n")
        else:
            _expect(step.text, peer.read_line())


def _expect(wanted: str, line: bytes) -> None:
    if wanted == "<closed>":
        assert line == b"", f"expected the end, got {line!r}"
        return
    assert line.endswith(b"\r\n"), f"expected {wanted!r}, got {line!r}"
    text = line[:-2].decode()
    if wanted.endswith(_ANY_REST):
        opening = wanted.removesuffix(_ANY_REST)
        assert text == opening or text.startswith(opening + " "), f"expected {wanted!r}, got {text!r}"
    else:
        assert text == wanted, f"expected {wanted!r}, got {text!r}"
