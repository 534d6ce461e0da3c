"""The formats of PEEP arguments: octets in, a checked value or the client's mistake out (P5, P7, P11).

Everything is checked on the octets. Python's `int()` would take `+5`, `1_0` and the digits of other scripts.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

MAX_ARGUMENT_OCTETS = 128
"""The longest argument (PEEP section 2.1)."""

_WORD = re.compile(rb"[!-~]{1,%d}" % MAX_ARGUMENT_OCTETS)
_INTEGER = re.compile(rb"-?[0-9]+")

Argument = str | int


class Mistake(Enum):
    """What is wrong with an argument."""

    FORMAT = "format"
    """It is not of its kind at all: `-1`."""
    VALUE = "value"
    """It is of its kind and still cannot be taken: the command's own negative code."""


class ArgumentKind(Protocol):
    """One place for an argument in a command's row."""

    @property
    def name(self) -> str:
        """The name that the syntax line shows between `<` and `>`."""

    def parse(self, word: bytes) -> Argument | Mistake:
        """Return the value that an argument, already known to be a word, stands for."""


def is_word(octets: bytes) -> bool:
    """Return whether this can be an argument: 1 to 128 octets of printable ASCII without space (P5)."""
    return _WORD.fullmatch(octets) is not None


@dataclass(frozen=True, slots=True)
class Text:
    """Any word: an administrator's name, a password."""

    name: str

    def parse(self, word: bytes) -> str:
        """Return the word as it is."""
        return word.decode("ascii")


@dataclass(frozen=True, slots=True)
class UserName:
    """A POP3 user's name, which is also the name of a folder in the mail directory (P11)."""

    name: str

    def parse(self, word: bytes) -> str | Mistake:
        """Return the name; one with `/`, or one that begins with `.`, is of wrong format."""
        if b"/" in word or word.startswith(b"."):
            return Mistake.FORMAT
        return word.decode("ascii")


@dataclass(frozen=True, slots=True)
class Integer:
    """A decimal integer; `allowed` is the range that `cap?` shows (P7, P8)."""

    name: str
    allowed: range

    def parse(self, word: bytes) -> int | Mistake:
        """Return the number; it may have any length that an argument has, leading zeros included."""
        if _INTEGER.fullmatch(word) is None:
            return Mistake.FORMAT
        number = int(word)
        return number if number in self.allowed else Mistake.VALUE


@dataclass(frozen=True, slots=True)
class AbsolutePath:
    """An absolute path without `..` (P12). Whether it can be used is for the POP3 instances to say."""

    name: str

    def parse(self, word: bytes) -> str | Mistake:
        """Return the path with `//`, `/.` and a `/` at the end taken out.

        `..` is not resolved but refused: after a link it would lead elsewhere than the text says.
        """
        parts = [part for part in word.decode("ascii").split("/") if part not in ("", ".")]
        if not word.startswith(b"/") or ".." in parts:
            return Mistake.VALUE
        return "/" + "/".join(parts)
