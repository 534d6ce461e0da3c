"""Lists of names in a file or on standard input, a line each; users to add may have a password behind it."""

import re
from collections.abc import Iterator

from peepctl.list_lines import lines_of, name_of, require_secrecy
from peepctl.sources import WrongSettings
from peepctl.user_passwords import UserPassword

MOST_NAMES = 100_000

_HEAD = re.compile("(user|user ?name|name|login|e-?mail)[:,;\t](password|passwd)", re.IGNORECASE)


def read_names(source: str) -> list[str]:
    """Return the names in the file `source`, or on standard input for `-`, each once.

    Empty lines and those that begin with `#` are skipped. Raises `WrongSettings`, with the number of a line
    that is wrong and without its content.
    """
    return list(dict.fromkeys(_lines(source)))


def read_new_users(source: str) -> list[UserPassword]:
    """Return the users to add in a file, as `read_names`: `user`, or `user` and password with a divider.

    That is a tab where the line has one, else the first colon or comma; without any the password is empty.
    A first line that names these columns is skipped.
    """
    name = name_of(source)
    users: dict[str, UserPassword] = {}
    for number, line in enumerate(_lines(source)):
        if number == 0 and _HEAD.fullmatch(line):
            continue
        username, *rest = re.split("\t" if "\t" in line else "[:,]", line, maxsplit=1)
        if not rest and ";" in username:
            raise WrongSettings(f"{name}: between a name and its password must be `:`, `,` or a tab, not ;")
        if username in users:
            raise WrongSettings(f"{name}: the user {username} is in it twice")
        users[username] = UserPassword(username, *rest or [""])
    if not users:
        raise WrongSettings(f"{name} names nobody: it has only the names of columns")
    if any(user.password for user in users.values()):
        require_secrecy(source)
    return list(users.values())


def _lines(source: str) -> Iterator[str]:
    found = 0
    for _, text in lines_of(source):
        if not text.strip():
            continue
        found += 1
        if found > MOST_NAMES:
            raise WrongSettings(f"{name_of(source)} has more than {MOST_NAMES:,} names: divide it")
        yield text
    if not found:
        raise WrongSettings(f"{name_of(source)} names nobody: a line for each is needed")
