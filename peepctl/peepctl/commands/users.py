"""`users list|add|remove|password`; `user_hashes` has `import` and `export`."""

from __future__ import annotations

from typing import Annotated

import typer

from peepctl.commands import user_hashes
from peepctl.completion import users as user_names
from peepctl.options import AsJson, connected
from peepctl.output import say, say_json
from peepctl.passwords import new_password
from peepctl.server import Server

Username = Annotated[str, typer.Argument(metavar="USER", help="A POP3 user's name.")]
KnownUsername = Annotated[
    str, typer.Argument(metavar="USER", help="A POP3 user's name.", autocompletion=user_names)
]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
]
InTheOpen = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="PASSWORD",
        help="The password: other users of this machine can see it, and the shell records it.",
    ),
]


@connected
def list_users(server: Server, as_json: AsJson = False) -> None:
    """List the POP3 users."""
    with server.connect() as peep:
        names = peep.users()
    if as_json:
        say_json({"users": [{"username": name} for name in names]})
        return
    for name in names:
        say(name)


@connected
def add(
    server: Server, username: Username, from_input: FromInput = False, password: InTheOpen = None
) -> None:
    """Add a POP3 user.

    Prompts for the password twice, or reads it from standard input if that is not a terminal.
    """
    chosen = new_password(username, password, from_input=from_input)
    with server.connect() as peep:
        peep.add_user(username, chosen)
    say(f"added {username}")


@connected
def remove(server: Server, username: KnownUsername) -> None:
    """Remove a POP3 user but not the mail.

    A user added later under the same name gets the mail.
    """
    with server.connect() as peep:
        peep.remove_user(username)
    say(f"removed {username} but not the mail")


@connected
def set_password(
    server: Server, username: KnownUsername, from_input: FromInput = False, password: InTheOpen = None
) -> None:
    """Change a POP3 user's password.

    Prompts for it twice, or reads it from standard input if that is not a terminal. The server needs the
    extension p=.
    """
    chosen = new_password(username, password, from_input=from_input)
    with server.connect() as peep:
        peep.set_password(username, chosen)
    say(f"changed the password of {username}")


def group() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help="List and change the POP3 users.", no_args_is_help=True)
    app.command("list")(list_users)
    app.command("add")(add)
    app.command("remove")(remove)
    app.command("password")(set_password)
    app.command("import")(user_hashes.import_users)
    app.command("export")(user_hashes.export_users)
    return app
