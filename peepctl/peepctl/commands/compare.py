"""`compare`: proves, before a switch to a new server, that clients will see the same mail there."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from peepctl.comparison import Comparison, compare
from peepctl.options import AsJson
from peepctl.output import say, say_json
from peepctl.pop3_servers import AtOnce, CaFile, UsersFile, explained, in_turn, server_address
from peepctl.server import Exit
from peepctl.user_passwords import UserPassword, read_users
from pop3_client import ListedMessage, Pop3Address, Pop3Client, Pop3Error, tls_context

WIDEST_NAME = 40


def compare_servers(
    old: Annotated[str, typer.Option(metavar="URL", help="The old server, as pop3s://old.example.org.")],
    new: Annotated[str, typer.Option(metavar="URL", help="The new one, as pop3://127.0.0.1:1110.")],
    users: UsersFile,
    ca_file: CaFile = None,
    at_once: AtOnce = 8,
    as_json: AsJson = False,
) -> None:
    """Compare users' mail on two POP3 servers: number, order, unique-ids, octets.

    Nothing is fetched or changed on either. A URL is pop3s://HOST[:PORT], pop3://HOST[:PORT]?stls, or
    pop3://HOST[:PORT] in the clear; certificates are checked.
    """
    with explained():
        servers = _Servers(old, new, ca_file)
        raise typer.Exit(asyncio.run(_compare_all(servers, read_users(users), at_once, as_json=as_json)))


class _Servers:
    """The two servers; each method opens sessions of its own and ends them with QUIT."""

    def __init__(self, old: str, new: str, ca_file: str | None) -> None:
        self._addresses = {"old": server_address("--old", old), "new": server_address("--new", new)}
        self._tls = tls_context(ca_file)

    async def greet(self) -> None:
        """Raise `Unreachable` if one of them cannot be had."""
        for address in self._addresses.values():
            await (await Pop3Client.connect(address, self._tls)).close()

    async def compared(self, user: UserPassword) -> Comparison | str:
        """Return how a user's maildrops compare, or why they cannot be compared."""
        listings = await asyncio.gather(
            *(self._messages(server, address, user) for server, address in self._addresses.items())
        )
        faults = [one for one in listings if isinstance(one, str)]
        lists = [one for one in listings if not isinstance(one, str)]
        return "; ".join(faults) if faults else compare(*lists)

    async def _messages(
        self, server: str, address: Pop3Address, user: UserPassword
    ) -> list[ListedMessage] | str:
        try:
            async with await Pop3Client.connect(address, self._tls) as client:
                await client.log_in(user.username, user.password)
                return await client.messages()
        except Pop3Error as error:
            return f"the {server} server: {error}"


async def _compare_all(
    servers: _Servers, users: Sequence[UserPassword], at_once: int, *, as_json: bool
) -> Exit:
    await servers.greet()
    width = min(WIDEST_NAME, max(len(user.username) for user in users))
    rows = []
    async for user, result in in_turn(users, at_once, servers.compared, "users compared", as_json=as_json):
        rows.append(_row(user, result))
        if not as_json:
            _say_result(user.username.ljust(width), result)
    counts = Counter(_state(row) for row in rows)
    if as_json:
        say_json({"users": rows, **{state: counts[state] for state in ("same", "different", "not_compared")}})
    else:
        say(
            f"{counts['same']:,} of {len(users):,} users have the same mail on both servers; "
            f"{counts['different']:,} differ, {counts['not_compared']:,} could not be compared"
        )
    return Exit.DONE if counts["same"] == len(users) else Exit.DIFFERENT


def _say_result(name: str, result: Comparison | str) -> None:
    if isinstance(result, str):
        say(f"{name}  cannot be compared: {result}")
        return
    order = "in the same order" if result.is_in_order else "IN ANOTHER ORDER"
    say(f"{name}  {result.same:,} of {result.old_messages:,} the same, {order}{':' * (not result.is_equal)}")
    for difference in result.differences:
        say(f"    {difference}")


def _row(user: UserPassword, result: Comparison | str) -> dict[str, object]:
    if isinstance(result, str):
        return {"username": user.username, "error": result}
    return {
        "username": user.username,
        "old_messages": result.old_messages,
        "new_messages": result.new_messages,
        "same": result.same,
        "in_same_order": result.is_in_order,
        "differences": list(result.differences),
    }


def _state(row: dict[str, object]) -> str:
    if "error" in row:
        return "not_compared"
    return "different" if row["differences"] else "same"
