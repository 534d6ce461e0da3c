"""`users list|add|remove|password`; the other commands are in `user_records` and `user_hashes`."""

from typing import Annotated

import typer

from peepctl.commands import many_users, user_hashes, user_records
from peepctl.commands.user_records import KnownUsername
from peepctl.moments import DAY, span
from peepctl.options import AsJson, PasswordFromInput, connected
from peepctl.output import say, say_json
from peepctl.passwords import new_password
from peepctl.questions import is_agreed
from peepctl.server import Exit, Server
from peepctl.sources import WrongSettings

NewUsername = Annotated[
    str | None, typer.Argument(metavar="USER", help="A POP3 user's name.", show_default=False)
]
LONGEST_DAYS = 3650
"""The API takes no more."""

InTheOpen = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="PASSWORD",
        help="The password: other users of this machine can see it, and the shell records it.",
    ),
]


def days(text: str) -> int:
    """Return how many days are meant by `90d`, `12w`, `1y` or `90`."""
    seconds = span(f"{text}d") if text.isdecimal() else span(text)
    if seconds is None or seconds % DAY or seconds // DAY > LONGEST_DAYS:
        raise typer.BadParameter(f"{text} is no number of days, such as 90d; at most {LONGEST_DAYS}d")
    return seconds // DAY


SortBy = Annotated[
    user_records.Sort | None,
    typer.Option("--sort", help="Show figures, sorted by this: the latest and the largest first."),
]
Search = Annotated[
    str, typer.Option("--search", metavar="TEXT", help="Only names that contain TEXT.", show_default=False)
]
NotSince = Annotated[
    int | None,
    typer.Option("--not-since", parser=days, metavar="90d", help="Only those without a login for so long."),
]
RefusedSince = Annotated[
    int | None, typer.Option("--refused", parser=days, metavar="1d", help="Only those refused since.")
]
Suspended = Annotated[bool, typer.Option("--suspended", help="Only suspended users.")]
Scheme = Annotated[
    str,
    typer.Option("--scheme", metavar="SCHEME", help="Only those with such a hash.", show_default=False),
]


OnlyNames = Annotated[bool, typer.Option("--names", help="Only the names, a line each.")]


@connected
def list_users(
    server: Server,
    sort: SortBy = None,
    search: Search = "",
    not_since: NotSince = None,
    refused: RefusedSince = None,
    suspended: Suspended = False,
    scheme: Scheme = "",
    only_names: OnlyNames = False,
    as_json: AsJson = False,
) -> None:
    """List the POP3 users.

    With an option it shows figures of each, some seconds old, and talks to the HTTP API. With --names
    other commands take the list, as refusals suspend --from - does.
    """
    wanted = {"not_since_days": not_since, "refused_days": refused, "search": search, "scheme": scheme}
    query = {name: value for name, value in wanted.items() if value not in {None, ""}}
    query |= {"suspended": True} if suspended else {}
    if query or sort is not None:
        by = sort or user_records.Sort.NAME
        is_descending = by is not user_records.Sort.NAME
        query |= {"sort": by.value.replace("-", "_"), "descending": is_descending}
        user_records.say_listed(server, query, as_json=as_json, only_names=only_names)
        return
    with server.connect() as peep:
        names = peep.users()
    if as_json:
        say_json({"users": [{"username": name} for name in names]})
        return
    for name in names:
        say(name)


@connected
def add(
    server: Server,
    username: NewUsername = None,
    from_input: PasswordFromInput = False,
    password: InTheOpen = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Add the users of a list: user, user:password or user,password; - is standard input.",
            show_default=False,
        ),
    ] = None,
) -> Exit:
    """Add a POP3 user, or many.

    Prompts for the password twice, or reads it from standard input if that is not a terminal. With --from
    passwords are made where the list has none, and printed once, as user:password lines; it talks to the HTTP
    API, and users who exist stay as they are.
    """
    if (username is None) == (source is None):
        raise WrongSettings("who is to be added? Give a USER, or --from FILE")
    if source is not None:
        return many_users.add_listed(server, source)
    assert username is not None
    chosen = new_password(username, password, from_input=from_input)
    with server.connect() as peep:
        peep.add_user(username, chosen)
    say(f"added {username}")
    return Exit.DONE


@connected
def remove(
    server: Server,
    username: KnownUsername,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
) -> Exit:
    """Remove a POP3 user but not the mail.

    Asks at a terminal, and needs --yes elsewhere. A user added later under the same name gets the mail.
    """
    if not is_sure and not is_agreed(
        f"Remove the user {username} and the password?",
        f"{username} is not removed: --yes does it without a question",
    ):
        return Exit.REFUSED
    with server.connect() as peep:
        peep.remove_user(username)
    say(f"removed {username} but not the mail")
    return Exit.DONE


@connected
def set_password(
    server: Server, username: KnownUsername, from_input: PasswordFromInput = False, password: InTheOpen = None
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
    app.command("show")(user_records.show)
    app.command("top")(user_records.top)
    app.command("add")(add)
    app.command("remove")(remove)
    app.command("password")(set_password)
    app.command("import")(user_hashes.import_users)
    app.command("export")(user_hashes.export_users)
    return app
