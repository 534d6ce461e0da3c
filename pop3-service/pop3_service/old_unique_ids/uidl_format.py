"""Dovecot's `pop3_uidl_format`: from a message's UID and file name to the unique-id that clients know."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DEFAULT = "%08Xu%08Xv"

KNOWN = (DEFAULT, "%v.%u", "%v-%u", "%u", "%f", "%g", "%08Xv%08Xu")
"""Formats that are recognised by unique-ids that were saved."""

# In 2.3 `%`, a width (with a zero: fill, else cut), modifiers, and a letter or a name in braces.
_OLD = re.compile(r"%(?P<width>[0-9]{0,3})(?P<modifiers>[XLU]*)(?:(?P<letter>[vufg%])|\{(?P<name>\w+)\})")
# In 2.4 always a name in braces, with filters.
_NEW = re.compile(r"%\{\s*(?P<name>\w+)(?P<filters>(?:\s*\|\s*\w+(?:\(\s*[0-9]{0,3}\s*\))?)*)\s*\}")
_FILTER = re.compile(r"\|\s*(\w+)(?:\(\s*([0-9]*)\s*\))?")

_LETTERS = {"v": "uidvalidity", "u": "uid", "f": "filename", "g": "guid"}


class UnknownFormat(ValueError):
    """The text is no format that Peep can follow."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What Dovecot knows of a message."""

    uidvalidity: int
    uid: int
    filename: bytes
    guid: bytes


_Piece = Callable[[Facts], bytes]


class UidlFormat:
    """Makes unique-ids as Dovecot does with this `pop3_uidl_format`, in the form of 2.3 or of 2.4.

    Raises UnknownFormat.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._pieces = list(_pieces(text))
        one, another = Facts(1, 11, b"11", b"11"), Facts(1, 22, b"22", b"22")
        if self.unique_id(one) == self.unique_id(another):
            raise UnknownFormat("it names neither the UID nor the file: messages would share a unique-id")

    def unique_id(self, facts: Facts) -> bytes:
        """Return the unique-id of a message."""
        return b"".join(piece(facts) for piece in self._pieces)


def _pieces(text: str) -> Sequence[_Piece]:
    pieces: list[_Piece] = []
    position = 0
    while position < len(text):
        found = _NEW.match(text, position) or _OLD.match(text, position)
        if found is not None:
            pieces.append(_piece(found))
            position = found.end()
        elif text[position] == "%":
            raise UnknownFormat(
                f"{text[position : position + 20]!r} is not understood: %u, %v, %f and %g are, with a width"
                " and X, L or U, and %{uid}, %{uidvalidity}, %{filename} and %{guid} with hex, lower or upper"
            )
        else:
            pieces.append(_constant(text[position].encode()))
            position += 1
    return pieces


def _constant(text: bytes) -> _Piece:
    return lambda _: text


def _piece(found: "re.Match[str]") -> _Piece:
    groups = found.groupdict()
    if groups.get("letter") == "%":
        return _constant(b"%")
    name = groups.get("name") or _LETTERS[groups["letter"]]
    if name not in _LETTERS.values():
        raise UnknownFormat(f"%{{{name}}} is not known: uid, uidvalidity, filename and guid are")
    steps = _filters(groups["filters"]) if "filters" in groups else _modifiers(**groups)

    def piece(facts: Facts) -> bytes:
        value: int | bytes = getattr(facts, name)
        text = b"%d" % value if isinstance(value, int) else value
        for step in steps:
            text = step(text)
        return text

    return piece


_Step = Callable[[bytes], bytes]


def _modifiers(width: str, modifiers: str, **_: str) -> list[_Step]:
    steps = [{"X": _hex(0), "L": bytes.lower, "U": bytes.upper}[letter] for letter in modifiers]
    if width.startswith("0"):
        steps.append(lambda text: text.rjust(int(width), b"0"))
    elif width:
        steps.append(lambda text: text[: int(width)])
    return steps


def _filters(text: str) -> list[_Step]:
    steps: list[_Step] = []
    for name, argument in _FILTER.findall(text):
        if name == "hex":
            steps.append(_hex(int(argument or 0)))
        elif name in {"lower", "upper"} and not argument:
            steps.append(bytes.lower if name == "lower" else bytes.upper)
        else:
            raise UnknownFormat(f"the filter {name} is not known: hex, lower and upper are")
    return steps


def _hex(width: int) -> _Step:
    def step(text: bytes) -> bytes:
        # Of anything but a number Dovecot takes the digits at its beginning.
        digits = re.match(rb"[0-9]*", text)
        return b"%0*x" % (width, int(digits[0] or 0) if digits else 0)

    return step
