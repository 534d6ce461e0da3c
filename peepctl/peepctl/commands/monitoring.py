"""`stats`, `who`, `sessions`, `kick`, `slow-downs`, `lift`, `top`: watch what happens, and end it."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from peep_client import NegativeReply, Session, SlowDown
from peep_client.protocol.errors import UNKNOWN_USER_OR_SESSION
from peepctl.commands import closing
from peepctl.completion import networks_and_users, sessions_and_users
from peepctl.options import AsJson, complain, connected
from peepctl.output import amount, duration, say, say_json, say_list, say_table
from peepctl.questions import is_agreed
from peepctl.server import Exit, Server
from peepctl.session_columns import HEAD, Order, cells, in_order


@connected
def stats(server: Server, as_json: AsJson = False) -> None:
    """Show all counters."""
    with server.connect() as peep:
        counters = peep.counters()
    if as_json:
        say_json(dataclasses.asdict(counters))
        return
    say_list(
        [
            ("open connections", f"{counters.current_connections:>15,}"),
            ("users logged in", f"{counters.logged_in_users:>15,}"),
            ("connections so far", f"{counters.historical_connections:>15,}"),
            ("logins so far", f"{counters.historical_logins:>15,}"),
            ("emails retrieved", f"{counters.retrieved_emails:>15,}"),
            ("emails removed", f"{counters.removed_emails:>15,}"),
            ("octets sent", f"{counters.retrieved_bytes:>15,}  ({amount(counters.retrieved_bytes)})"),
        ]
    )


@connected
def who(server: Server, as_json: AsJson = False) -> None:
    """List the users who are logged in, each once."""
    with server.connect() as peep:
        users = peep.logged_in_users()
    if as_json:
        say_json({"users": users})
        return
    for user in users:
        say(user)


@connected
def sessions(
    server: Server,
    order: Annotated[Order, typer.Option("--sort", help="What comes first.")] = Order.OLDEST,
    as_json: AsJson = False,
) -> None:
    """Show the open POP3 sessions.

    Sessions before login have - as their user; SENDING is how far a large message is sent. The server needs
    the extension s?.
    """
    with server.connect() as peep:
        found = in_order(peep.sessions(), order)
    if as_json:
        say_json({"sessions": [dataclasses.asdict(session) for session in found]})
        return
    say_table(HEAD, [cells(one) for one in found])


@connected
def kick(
    server: Server,
    target: Annotated[
        str,
        typer.Argument(
            metavar="SESSION|USER",
            help="A session's id, or a user to close all sessions of.",
            autocompletion=sessions_and_users,
        ),
    ],
    is_sure: Annotated[
        bool, typer.Option("--yes", "-y", help="Close several sessions without asking.")
    ] = False,
) -> Exit:
    """Close a POP3 session, or all sessions of a user.

    Messages marked as deleted are kept. The server needs the extensions s? and k-.
    """
    with server.connect() as peep:
        found = peep.sessions()
        meant = [one for one in found if one.id == target] or [one for one in found if one.username == target]
        if not meant:
            complain(
                f"no open session has the id or the user {target}: peepctl sessions lists them, "
                "and sessions close --network closes those of a network"
            )
            return Exit.REFUSED
        if len(meant) > 1 and not (is_sure or _is_agreed(target, meant)):
            return Exit.REFUSED
        for session in meant:
            name = f"session {session.id} ({session.username or 'not logged in'}, {session.address})"
            _end(
                functools.partial(peep.close_session, session.id),
                f"closed {name}",
                f"{name} had already ended",
            )
    return Exit.DONE


@connected
def slow_downs(server: Server, as_json: AsJson = False) -> None:
    """Show the slow-downs for wrong passwords.

    - stands for any network or any user. The server needs the extension g?.
    """
    with server.connect() as peep:
        found = peep.slow_downs()
    if as_json:
        say_json({"slow_downs": [dataclasses.asdict(one) for one in found]})
        return
    say_table(
        ("ID", "NETWORK", "USER", "SINCE", "DELAYED", "OVER IN"),
        [
            (
                one.id,
                one.network or "-",
                _user_of(one),
                duration(one.seconds),
                f"{one.attempts:,}",
                duration(one.seconds_left),
            )
            for one in found
        ],
    )


@connected
def lift(
    server: Server,
    slow_down: Annotated[
        str,
        typer.Argument(
            metavar="ID|NETWORK|USER",
            help="A slow-down's id, or a network or user to lift all slow-downs of.",
            autocompletion=networks_and_users,
        ),
    ],
) -> Exit:
    """Lift a slow-down for wrong passwords, or all slow-downs of a network or user.

    Passwords are then checked at once again; further guessing is slowed down again. The server needs the
    extensions g? and g-.
    """
    with server.connect() as peep:
        found = peep.slow_downs()
        meant = [one for one in found if one.id == slow_down] or [
            one for one in found if slow_down in (one.network, one.username)
        ]
        if not meant:
            complain(
                f"no slow-down has the id, network or user {slow_down}: peepctl slow-downs lists them, "
                "and refusals lift ends suspensions and bans too"
            )
            return Exit.REFUSED
        for one in meant:
            name = f"slow-down {one.id} (user {_user_of(one)}, network {one.network or '-'})"
            _end(functools.partial(peep.lift_slow_down, one.id), f"lifted {name}", f"{name} was already over")
    return Exit.DONE


@connected
def top(
    server: Server,
    seconds: Annotated[
        float, typer.Option("--interval", "-i", min=0.2, max=60, help="Seconds between two queries.")
    ] = 1.0,
) -> Exit:
    """Watch counters and sessions live.

    Shows gauges, rates and the open sessions on the whole screen until q is pressed. A lost connection is
    shown, and opened again.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        complain("top needs a terminal; programs can use peepctl stats --json")
        return Exit.USAGE
    from peepctl.top.watching import watch

    return watch(server, seconds)


def sessions_group() -> typer.Typer:
    """Return `sessions`, which lists them by itself, and its command `close`."""
    app = typer.Typer(invoke_without_command=True)
    app.callback()(sessions)
    app.command("close")(closing.close)
    return app


def _user_of(one: SlowDown) -> str:
    if one.username is None:
        return "-"
    return f"{one.username} (administrator)" if one.is_administrator else one.username


def _is_agreed(user: str, meant: list[Session]) -> bool:
    return is_agreed(
        f"Close these {len(meant)} sessions of {user}?",
        f"{user} has {len(meant)} sessions: --yes closes them all",
        reasons=[f"{one.id}  from {one.address}, open for {duration(one.seconds)}" for one in meant],
    )


def _end(end: Callable[[], None], done: str, was_over: str) -> None:
    """Run `end` and print `done`, or `was_over` if the session or the slow-down is gone already."""
    try:
        end()
    except NegativeReply as error:
        if error.code != UNKNOWN_USER_OR_SESSION:
            raise
        say(was_over)
    else:
        say(done)
