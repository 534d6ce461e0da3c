"""The names that a shell completes by asking the server: only where no password has to be asked for."""

from __future__ import annotations

from collections.abc import Callable

import typer

from peep_client import Peep, PeepError
from peepctl.options import server_of
from peepctl.settings_layers import WrongSettings

SECONDS = 1.5
"""How long a person who has pressed TAB waits at the most for each reply."""

MOST = 200
"""More names than this help nobody."""


def users(context: typer.Context, incomplete: str) -> list[str]:
    """Return the POP3 users whose names begin so; none when the server cannot be asked."""
    return _names(context, incomplete, lambda peep: peep.users())


def sessions_and_users(context: typer.Context, incomplete: str) -> list[str]:
    """Return the open sessions and the users who have some, as far as they begin so."""
    return _names(context, incomplete, _of_sessions)


def networks_and_users(context: typer.Context, incomplete: str) -> list[str]:
    """Return the slow-downs' networks, users and ids, as far as they begin so."""
    return _names(context, incomplete, _of_slow_downs)


def _of_slow_downs(peep: Peep) -> list[str]:
    found = peep.slow_downs()
    named = {name for one in found for name in (one.network, one.username) if name}
    return [*sorted(named), *(one.id for one in found)]


def _of_sessions(peep: Peep) -> list[str]:
    found = peep.sessions()
    return [*sorted({one.username for one in found if one.username}), *(one.id for one in found)]


def _names(context: typer.Context, incomplete: str, look: Callable[[Peep], list[str]]) -> list[str]:
    try:
        with server_of(context).connect_silently(SECONDS) as peep:
            return [name for name in look(peep) if name.startswith(incomplete)][:MOST]
    except (PeepError, WrongSettings):
        return []
