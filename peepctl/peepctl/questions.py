"""Questions before a change, for the commands that have `--yes`."""

import sys
from collections.abc import Iterable

import typer

from peepctl.options import complain
from peepctl.output import say, shown
from peepctl.server import Exit


def is_agreed(question: str, unasked: str, *, reasons: Iterable[str] = ()) -> bool:
    """Print the `reasons` to think twice, and ask; return whether the person at the terminal agrees.

    Where standard input is no terminal, `unasked` is printed as an error, and the command ends as after a no.
    """
    if not sys.stdin.isatty():
        complain(unasked)
        raise typer.Exit(Exit.REFUSED)
    for reason in reasons:
        say(reason)
    return typer.confirm(shown(question))
