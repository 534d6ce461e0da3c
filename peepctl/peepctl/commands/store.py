"""`store accept`: said to Redis itself, for an emptied store has no administrator to sign in as."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import typer

from peepctl.options import complain
from peepctl.output import say
from peepctl.server import Exit


def accept() -> None:
    """Go on with a Redis that has lost its users, on purpose; a backup that is put back needs no word.

    Run it where PEEP_REDIS_URL (or its _FILE) is that of the services, or beside a peepctl up.
    """
    # Few commands need what takes so long to import.
    from peepctl.up.embedded import SOCKET_NAME
    from peepctl.up.settings import UpSettings
    from service_runtime import acceptance
    from service_runtime.errors import StartError
    from service_runtime.settings import load
    from state_store.errors import StateError

    try:
        given = load(UpSettings)
        redis_url = given.redis_url or f"unix://{quote(str(given.directory / SOCKET_NAME))}"
        say(asyncio.run(acceptance.accept(redis_url)))
    except StartError as error:
        complain(str(error))
        raise typer.Exit(Exit.USAGE) from None
    except StateError as error:
        complain(f"redis: {error}")
        raise typer.Exit(Exit.NOT_CONNECTED) from None


def group() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help="Say what is to become of a Redis that has lost its users.", no_args_is_help=True)
    app.callback()(lambda: None)  # with one command alone, typer would take the group for it
    app.command("accept")(accept)
    return app
