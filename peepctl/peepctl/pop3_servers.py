"""What commands share that log in to POP3 servers as many users."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, TypeVar

import typer

from peepctl.options import complain
from peepctl.sources import WrongSettings
from peepctl.user_passwords import UserPassword
from pop3_client import InvalidArgument, Pop3Address

MOST_AT_ONCE = 64

UsersFile = Annotated[
    str,
    typer.Option(
        "--users",
        metavar="FILE",
        help="A line for each user: user:password, or both divided by a tab; - is standard input.",
    ),
]
CaFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="Certificates to trust instead of the system's (PEM).")
]
AtOnce = Annotated[int, typer.Option(min=1, max=MOST_AT_ONCE, metavar="N", help="Users at a time.")]

_Result = TypeVar("_Result")


def server_address(option: str, url: str) -> Pop3Address:
    """Return the server that an option names; warns if passwords go there in the clear.

    Raises `WrongSettings`.
    """
    try:
        address = Pop3Address.parse(url)
    except InvalidArgument as error:
        raise WrongSettings(f"{option}: {error}") from None
    if not address.is_private:
        complain(f"passwords go to {address} in the clear: pop3s:// or ?stls would protect them")
    return address


async def in_turn(
    users: Sequence[UserPassword],
    at_once: int,
    do: Callable[[UserPassword], Coroutine[Any, Any, _Result]],
) -> AsyncIterator[tuple[UserPassword, _Result]]:
    """Yield each user's result, in the order of `users`, while that of the next ones is made."""
    under_way: deque[tuple[UserPassword, asyncio.Task[_Result]]] = deque()
    for user in users:
        if len(under_way) == at_once:
            first, task = under_way.popleft()
            yield first, await task
        under_way.append((user, asyncio.create_task(do(user))))
    for first, task in under_way:
        yield first, await task


def progress(users: int, label: str, *, as_json: bool) -> AbstractContextManager[Any]:
    """Return a progress bar as a context, None where the lines on the terminal are progress enough."""
    if not sys.stderr.isatty() or (sys.stdout.isatty() and not as_json):
        return nullcontext()
    return typer.progressbar(length=users, label=label, file=sys.stderr, show_pos=True)
