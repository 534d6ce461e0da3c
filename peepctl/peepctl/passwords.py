"""A new password from whoever calls the command: a person at a terminal, or a program."""

from __future__ import annotations

import getpass
import sys

from peep_client import InvalidArgument
from peep_client.protocol.commands import request
from peepctl.settings_layers import WrongSettings


def new_password(username: str, given: str | None, *, from_input: bool) -> str:
    """Return a password that PEEP can carry, before anything was sent.

    `given` is one from the arguments. Else it is read from standard input where that is wanted or is no
    terminal, or asked for twice. Raises `InvalidArgument` and `WrongSettings`.
    """
    if given is not None and from_input:
        raise WrongSettings("--password and --password-stdin are two ways of one thing; give one of them")
    if given is not None:
        password = given
    elif from_input or not sys.stdin.isatty():
        password = _read_line()
    else:
        password = _asked(username)
    request("u+", username, password)  # tells what is wrong with either
    return password


def _read_line() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise WrongSettings("standard input holds no password: it is read from its first line")
    return line


def _asked(username: str) -> str:
    try:
        first = getpass.getpass(f"New password of {username}: ")
        request("u+", username, first)
        second = getpass.getpass("Once more: ")
    except EOFError:
        raise WrongSettings("no password was given") from None
    if first != second:
        raise InvalidArgument("the two passwords differ; nothing was changed")
    return first
