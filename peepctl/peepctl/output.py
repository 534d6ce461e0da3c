"""Output of commands: tables for people, JSON for programs, and no control characters."""

import json
import os
import sys
from collections.abc import Iterable, Sequence

import typer

_SPANS = (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1))


def shown(text: str) -> str:
    """Return `text` with control characters escaped: a server's text must not control the terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def has_colour() -> bool:
    """Return whether standard output is a terminal with colours and NO_COLOR is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def say(text: str) -> None:
    """Print one line."""
    typer.echo(shown(text))


def say_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2))


def say_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns under their names."""
    cells = [list(head), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        typer.echo(f"\x1b[1m{line}\x1b[0m" if number == 0 and has_colour() else line)


def say_list(rows: Sequence[tuple[str, str]]) -> None:
    """Print names with their values beside them."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name.ljust(width)}  {shown(value)}".rstrip())


def shortened(text: str, longest: int) -> str:
    """Return `text` in at most so many characters; dots stand for the rest."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def duration(seconds: float) -> str:
    """Return a time span in at most two units, for example `1 h 02 min`."""
    whole = int(seconds)
    for unit, below, size, smaller in _SPANS:
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest:02} {below}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def amount(octets: float) -> str:
    """Return a number of octets in a readable unit, for example `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if octets < 1000 or unit == "TB":
            break
        octets /= 1000
    return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
