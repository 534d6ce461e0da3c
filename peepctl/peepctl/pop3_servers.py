"""What commands share that log in to POP3 servers as many users."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Annotated, Any, TypeVar

import typer

from peepctl.options import complain
from peepctl.server import Exit
from peepctl.sources import WrongSettings
from peepctl.user_passwords import UserPassword
from pop3_client import InvalidArgument, Pop3Address, Unreachable

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


@contextmanager
def explained() -> Iterator[None]:
    """End the command, with a line that says why, where a setting is wrong or a server cannot be reached."""
    try:
        yield
    except (WrongSettings, InvalidArgument) as error:
        complain(str(error))
        raise typer.Exit(Exit.USAGE) from None
    except Unreachable as error:
        complain(f"cannot connect to {error}")
        raise typer.Exit(Exit.NOT_CONNECTED) from None


async def in_turn(
    users: Sequence[UserPassword],
    at_once: int,
    do: Callable[[UserPassword], Coroutine[Any, Any, _Result]],
    label: str,
    *,
    as_json: bool,
) -> AsyncIterator[tuple[UserPassword, _Result]]:
    """Yield each user's result, in the order of `users`, while that of the next ones is made.

    A progress bar with this label shows how many are done.
    """
    rest = iter(users)

    def begun(most: int) -> list[tuple[UserPassword, asyncio.Task[_Result]]]:
        return [(user, asyncio.create_task(do(user))) for user in islice(rest, most)]

    with _progress(len(users), label, as_json=as_json) as bar:
        under_way = deque(begun(at_once))
        while under_way:
            user, task = under_way.popleft()
            yield user, await task
            if bar is not None:
                bar.update(1)
            under_way.extend(begun(1))


def _progress(users: int, label: str, *, as_json: bool) -> AbstractContextManager[Any]:
    """Return a progress bar as a context, None where the lines on the terminal are progress enough."""
    if not sys.stderr.isatty() or (sys.stdout.isatty() and not as_json):
        return nullcontext()
    return typer.progressbar(length=users, label=label, file=sys.stderr, show_pos=True)
