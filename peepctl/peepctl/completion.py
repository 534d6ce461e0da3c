"""Names from the server for the shell's completion; none if a password would have to be prompted for."""

from collections.abc import Callable

import typer

from peep_client import Peep, PeepError
from peepctl.options import server_of
from peepctl.sources import WrongSettings

SECONDS = 1.5
"""The longest wait for each reply after TAB was pressed."""

MOST = 200
"""Longer lists are cut off: nobody reads them."""


def users(context: typer.Context, incomplete: str) -> list[str]:
    """Return the POP3 users whose names begin with `incomplete`."""
    return _names(context, incomplete, lambda peep: peep.users())


def sessions_and_users(context: typer.Context, incomplete: str) -> list[str]:
    """Return the open sessions and their users that begin with `incomplete`."""
    return _names(context, incomplete, _of_sessions)


def networks_and_users(context: typer.Context, incomplete: str) -> list[str]:
    """Return the networks, users and ids of slow-downs that begin with `incomplete`."""
    return _names(context, incomplete, _of_slow_downs)


def _of_slow_downs(peep: Peep) -> list[str]:
    found = peep.slow_downs()
    named = {name for one in found for name in (one.network, one.username) if name}
    return [*sorted(named), *(one.id for one in found)]


def _of_sessions(peep: Peep) -> list[str]:
    found = peep.sessions()
    return [*sorted({one.username for one in found if one.username}), *(one.id for one in found)]


def _names(context: typer.Context, incomplete: str, query: Callable[[Peep], list[str]]) -> list[str]:
    try:
        with server_of(context).connect_silently(SECONDS) as peep:
            return [name for name in query(peep) if name.startswith(incomplete)][:MOST]
    except (PeepError, WrongSettings):
        return []
