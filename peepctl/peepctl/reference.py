"""All commands of `peepctl`, for the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from peepctl.__main__ import NAME, app


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command as it is typed, such as `peepctl users add USER`, with its help in one line."""
    yield from _commands(typer.main.get_command(app), NAME)


def _commands(command: Any, path: str) -> Iterator[tuple[str, str]]:
    below = getattr(command, "commands", None)
    if below:
        for name, one in below.items():
            yield from _commands(one, f"{path} {name}")
        return
    with command.make_context(path, [], resilient_parsing=True) as context:
        _, *arguments = command.collect_usage_pieces(context)
    # Click puts required arguments in braces, as if they were choices.
    words = [argument.strip("{}") for argument in arguments]
    yield " ".join([path, *words]), " ".join((command.help or "").split())
