"""`move list|mail`: users who come from an old server, and their mail."""

import asyncio
import dataclasses
import ssl
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from peepctl.options import AsJson, connected
from peepctl.output import duration, say, say_json, say_table
from peepctl.pop3_servers import AtOnce, CaFile, UsersFile, explained, in_turn, server_address
from peepctl.server import Exit, Server
from peepctl.user_passwords import UserPassword, read_users
from pop3_client import LoginPutOff, Pop3Address, Pop3Client, Pop3Error, TimeLimits, Unreachable, tls_context

POLL_SECONDS = 5.0
"""How long to wait before a login that was put off is tried again."""

PATIENCE_SECONDS = 6 * 3600.0
"""After so long a move is left to the user's own first login."""

STALLED_SECONDS = 300.0
"""A user whose logins are put off for so long with the same words is given up: the move makes no progress."""


@connected
def list_moves(server: Server, as_json: AsJson = False) -> None:
    """Show whose mail comes from the old server of PEEP_MOVE_FROM and is not all here.

    A user's next login continues a move that was interrupted or has failed. The server needs the extensions
    mv? and mc?.
    """
    with server.connect() as peep:
        found, moved = peep.moves(), peep.moved_users()
    if as_json:
        say_json({"moved": moved, "moves": [dataclasses.asdict(one) for one in found]})
        return
    if found:
        say_table(
            ("USER", "STATE", "HERE", "OF", "SINCE", "REASON"),
            [
                (
                    one.username,
                    one.state,
                    f"{one.messages_here:,}",
                    f"{one.messages:,}" if one.messages else "-",
                    duration(one.seconds),
                    one.reason or "",
                )
                for one in found
            ],
        )
    states = Counter(one.state for one in found)
    others = "".join(f", {states[state]:,} {state}" for state in ("moving", "interrupted", "failed"))
    say(f"{moved:,} users moved{others}")


def move_mail(
    new: Annotated[
        str,
        typer.Option(metavar="URL", help="Peep's POP3, started with PEEP_MOVE_FROM: pop3://127.0.0.1:1110."),
    ],
    users: UsersFile,
    ca_file: CaFile = None,
    at_once: AtOnce = 4,
    as_json: AsJson = False,
) -> None:
    """Move users' mail from the old server ahead of their first login.

    Logs in at Peep's POP3 as each user, again and again until all of the mail is here: what the user's own
    client would do. So it needs no other rights, can be run again, and has the limits of users' logins.
    """
    with explained():
        peep = _Peep(server_address("--new", new), tls_context(ca_file))
        raise typer.Exit(asyncio.run(_move_all(peep, read_users(users), at_once, as_json=as_json)))


class _Peep:
    """The POP3 service that moves mail."""

    def __init__(self, address: Pop3Address, tls: ssl.SSLContext) -> None:
        self._address = address
        self._tls = tls

    async def greet(self) -> None:
        """Raise `Unreachable` if it cannot be had."""
        await (await self._connect()).close()

    async def move(self, user: UserPassword) -> int | str:
        """Return how many messages the user has once all are here, or why they do not come."""
        loop = asyncio.get_running_loop()
        ends, last, changed = loop.time() + PATIENCE_SECONDS, "", loop.time()
        while True:
            try:
                async with await self._connect() as client:
                    await client.log_in(user.username, user.password)
                    return len(await client.messages())
            except (LoginPutOff, Unreachable) as error:
                if str(error) != last:
                    last, changed = str(error), loop.time()
                if loop.time() > min(ends, changed + STALLED_SECONDS):
                    return last
            except Pop3Error as error:
                return str(error)
            await asyncio.sleep(POLL_SECONDS)

    async def _connect(self) -> Pop3Client:
        # A first login waits for the mail, for 20 s and for what may be slow before that.
        return await Pop3Client.connect(self._address, self._tls, TimeLimits(login=90.0))


async def _move_all(peep: _Peep, users: Sequence[UserPassword], at_once: int, *, as_json: bool) -> Exit:
    await peep.greet()
    rows: list[dict[str, object]] = []
    async for user, result in in_turn(users, at_once, peep.move, "users moved", as_json=as_json):
        is_here = isinstance(result, int)
        rows.append({"username": user.username, "messages" if is_here else "error": result})
        if not as_json:
            what = f"{result:,} messages are here" if is_here else f"NOT MOVED: {result}"
            say(f"{user.username}  {what}")
    failed = sum("error" in row for row in rows)
    if as_json:
        say_json({"users": rows, "moved": len(rows) - failed, "not_moved": failed})
    else:
        say(f"{len(rows) - failed:,} of {len(rows):,} users are here; {failed:,} are not")
    return Exit.REFUSED if failed else Exit.DONE


def group() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help="Move users' mail here from an old POP3 server.", no_args_is_help=True)
    app.command("list")(list_moves)
    app.command("mail")(move_mail)
    return app
