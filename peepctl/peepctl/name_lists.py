"""Lists of names in a file or on standard input, a line each; users to add may have a password behind it."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from peepctl.sources import WrongSettings

LONGEST_LINE = 4096
MOST_NAMES = 100_000

_HEAD = re.compile("(user|user ?name|name|login|e-?mail)[:,;\t](password|passwd)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """A line of the list; without a colon or a tab in it the `password` is empty."""

    name: str
    password: str = field(default="", repr=False)


def read_names(source: str) -> list[str]:
    """Return the names in the file `source`, or on standard input for `-`, each once.

    Empty lines and those that begin with `#` are skipped. Raises `WrongSettings`, with the number of a line
    that is wrong and without its content.
    """
    return list(dict.fromkeys(_lines(source)))


def read_new_users(source: str) -> list[Named]:
    """Return the users to add in a file, as `read_names`: `user`, `user:password`, or divided by a tab.

    A first line that names these columns is skipped.
    """
    users: dict[str, Named] = {}
    for number, line in enumerate(_lines(source)):
        if number == 0 and _HEAD.fullmatch(line):
            continue
        name, divider, password = line.partition("\t" if "\t" in line else ":")
        if not divider and ("," in name or ";" in name):
            raise WrongSettings(f"{source}: between a name and its password must be `:` or a tab, not , or ;")
        if name in users:
            raise WrongSettings(f"{source}: the user {name} is in it twice")
        users[name] = Named(name, password)
    if not users:
        raise WrongSettings(f"{source} names nobody: it has only the names of columns")
    if any(user.password for user in users.values()) and _is_open_to_others(source):
        raise WrongSettings(f"{source} contains passwords and others can read it: chmod 600 {source}")
    return list(users.values())


def _lines(source: str) -> Iterator[str]:
    found = 0
    with ExitStack() as stack:
        try:
            file = sys.stdin if source == "-" else stack.enter_context(_path(source).open(encoding="utf-8"))
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise WrongSettings(f"{source}, line {number}: longer than {LONGEST_LINE:,} characters")
                text = line.rstrip("\r\n")
                if not text.strip() or text.startswith("#"):
                    continue
                found += 1
                if found > MOST_NAMES:
                    raise WrongSettings(f"{source} has more than {MOST_NAMES:,} names: divide it")
                yield text
        except UnicodeDecodeError:
            raise WrongSettings(f"{source} is not UTF-8 text") from None
        except OSError as error:
            raise WrongSettings(f"{source} cannot be read: {error.strerror}") from None
    if not found:
        raise WrongSettings(f"{source} names nobody: a line for each is needed")


def _path(source: str) -> Path:
    return Path(source).expanduser()


def _is_open_to_others(source: str) -> bool:
    if source == "-":
        return False
    status = _path(source).stat()
    return stat.S_ISREG(status.st_mode) and bool(stat.S_IMODE(status.st_mode) & 0o077)
