"""`store accept`: goes to Redis directly, because an emptied store has no administrator to log in as."""

import asyncio
from urllib.parse import quote

import typer

from peepctl.options import complain
from peepctl.output import say
from peepctl.server import Exit


def accept() -> None:
    """Accept a Redis that has lost its users, so that the services go on with it empty.

    Not needed after a backup has been restored. Run it where PEEP_REDIS_URL (or its _FILE) has the value
    that the services have, or beside a peepctl up.
    """
    # Imported here because it takes long, and few commands need it.
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
    app = typer.Typer(help="Decide what happens to a Redis that has lost its users.", no_args_is_help=True)
    app.callback()(lambda: None)  # without a callback, Typer merges a group with its only command
    app.command("accept")(accept)
    return app
