"""Users with their passwords, from a file or standard input: `user:password` lines, or divided by a tab."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from peepctl.list_lines import lines_of, name_of
from peepctl.sources import WrongSettings


@dataclass(frozen=True, slots=True)
class UserPassword:
    """A POP3 user's name and password; shown without the password."""

    username: str
    password: str = field(repr=False)


def read_users(source: str) -> list[UserPassword]:
    """Return the users in the file `source`, or from standard input for `-`, in their order.

    Empty lines and those that begin with `#` are skipped. Raises `WrongSettings`, with the number of a line
    that is wrong and without its content.
    """
    name = name_of(source)
    users = list(_users(name, lines_of(source, are_secret=True)))
    if not users:
        raise WrongSettings(f"{name} names no users: a line for each is needed, user:password")
    return users


def _users(name: str, lines: Iterable[tuple[int, str]]) -> Iterable[UserPassword]:
    numbers: dict[str, int] = {}
    for number, text in lines:
        where = f"{name}, line {number}"
        # A tab first: a name may contain a colon, and a password both.
        username, divider, password = text.partition("\t" if "\t" in text else ":")
        if not (username and divider and password):
            raise WrongSettings(f"{where}: must be user:password, or both divided by a tab")
        if username in numbers:
            raise WrongSettings(f"{where}: the same user as in line {numbers[username]}")
        numbers[username] = number
        yield UserPassword(username, password)
