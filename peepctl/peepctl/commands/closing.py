"""`sessions close`: many sessions at once."""

import sys
from typing import Annotated
from urllib.parse import urlencode

import typer

from peepctl.completion import users
from peepctl.http_api import ApiRefused, HttpApi
from peepctl.moments import span
from peepctl.options import complain, connected
from peepctl.output import say
from peepctl.questions import is_agreed
from peepctl.server import Exit, Server
from peepctl.sources import WrongSettings

_SESSIONS = "/v1/sessions"


@connected
def close(
    server: Server,
    network: Annotated[
        str | None,
        typer.Option(metavar="NETWORK", help="Sessions from an address or network.", show_default=False),
    ] = None,
    of_user: Annotated[
        str | None,
        typer.Option(
            "--of",
            "--of-user",
            metavar="USER",
            help="Sessions of a user.",
            show_default=False,
            autocompletion=users,
        ),
    ] = None,
    idle: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Sessions idle for so long: 45s, 10m, 2h, as sessions --sort idle shows.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Close them without asking.")] = False,
) -> Exit:
    """Close the POP3 sessions of a network or user, idle ones, or all.

    Filters are combined. Messages marked as deleted are kept. It talks to the HTTP API, and each session is
    an entry of the audit.
    """
    if everything == bool(network or of_user or idle):
        raise WrongSettings("which sessions? give --network, --of or --idle, also together, or --all")
    query, whose = _filters(network, of_user, idle)
    with server.api() as api:
        if not (is_sure or _is_agreed(whose)):
            return Exit.REFUSED
        return _close_all(api, query)


def _filters(network: str | None, of_user: str | None, idle: str | None) -> tuple[dict[str, str], str]:
    """Return the API's parameters, and the same in words."""
    given = {"network": network, "username": of_user}
    query = {name: value for name, value in given.items() if value}
    whose = " and ".join(f"{name} {value}" for name, value in query.items()) or "everybody"
    if idle is None:
        return query, whose
    return query | {"idle_seconds": str(_seconds(idle))}, f"{whose}, idle for {idle}"


def _seconds(idle: str) -> int:
    seconds = span(idle)
    if not seconds:
        raise WrongSettings(f"--idle {idle}: give a time as 45s, 10m or 2h")
    return seconds


def _is_agreed(whose: str) -> bool:
    return is_agreed(
        f"Close all sessions of {whose}?",
        f"the sessions of {whose} are not closed: --yes does it without a question",
    )


def _close_all(api: HttpApi, query: dict[str, str]) -> Exit:
    closed, unclosed = 0, set[str]()
    while True:
        try:
            done = api.delete(f"{_SESSIONS}?{urlencode(query | {'confirm': 'true'})}")
        except ApiRefused as error:
            so_far = f"{closed:,} closed so far: " if closed else ""
            complain(so_far + error.why)
            return Exit.REFUSED
        closed += done["closed"]
        unclosed |= set(done["unclosed"])
        if not done["left"] or not done["closed"]:
            break
        if sys.stderr.isatty():
            typer.echo(f"closed {closed:,}, {done['left']:,} to go", err=True)
    say(f"closed {closed:,} session{'' if closed == 1 else 's'}")
    if unclosed:
        complain(f"not closed yet, as their process is busy; try again: {', '.join(sorted(unclosed))}")
    return Exit.REFUSED if unclosed else Exit.DONE
