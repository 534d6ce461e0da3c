"""Users with their passwords, from a file or standard input: `user:password` lines, or divided by a tab."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from peepctl.sources import WrongSettings

STANDARD_INPUT = "-"

LONGEST_LINE = 4096


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
    with ExitStack() as stack:
        name, file = _opened(source, stack)
        try:
            users = list(_users(name, file))
        except UnicodeDecodeError:
            raise WrongSettings(f"{name} is not UTF-8 text") from None
        except OSError as error:
            raise WrongSettings(f"{name} cannot be read: {error.strerror}") from None
    if not users:
        raise WrongSettings(f"{name} names no users: a line for each is needed, user:password")
    return users


def _opened(source: str, stack: ExitStack) -> tuple[str, IO[str]]:
    if source == STANDARD_INPUT:
        return "standard input", sys.stdin
    path = Path(source).expanduser()
    try:
        file = stack.enter_context(path.open(encoding="utf-8"))
        status = path.stat()
    except OSError as error:
        raise WrongSettings(f"{path} cannot be read: {error.strerror}") from None
    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077:
        raise WrongSettings(f"{path} contains passwords and others can read it: chmod 600 {path}")
    return str(path), file


def _users(name: str, lines: IO[str]) -> Iterable[UserPassword]:
    numbers: dict[str, int] = {}
    number = 0
    while line := lines.readline(LONGEST_LINE + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(line) > LONGEST_LINE:
            raise WrongSettings(f"{where}: longer than {LONGEST_LINE:,} characters")
        text = line.rstrip("\r\n")
        if not text or text.startswith("#"):
            continue
        # A tab first: a name may contain a colon, and a password both.
        username, divider, password = text.partition("\t" if "\t" in text else ":")
        if not (username and divider and password):
            raise WrongSettings(f"{where}: must be user:password, or both divided by a tab")
        if username in numbers:
            raise WrongSettings(f"{where}: the same user as in line {numbers[username]}")
        numbers[username] = number
        yield UserPassword(username, password)
