"""A new password from an option, from standard input, or from a prompt."""

import getpass
import sys

from peep_client import InvalidArgument
from peep_client.protocol.commands import request
from peepctl.sources import WrongSettings


def new_password(username: str, given: str | None, *, from_input: bool) -> str:
    """Return a password that PEEP can carry: `given`, or one that is read.

    It is read from standard input if `from_input` or if that is not a terminal, else prompted for twice.
    Raises `InvalidArgument` and `WrongSettings`.
    """
    if given is not None and from_input:
        raise WrongSettings("--password and --password-stdin are both given; give one of them")
    if given is not None:
        password = given
    elif from_input or not sys.stdin.isatty():
        password = _read_line()
    else:
        password = _prompted(username)
    request("u+", username, password)  # raises if PEEP cannot carry the name or the password
    return password


def _read_line() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise WrongSettings("standard input is empty: the password is read from its first line")
    return line


def _prompted(username: str) -> str:
    try:
        first = getpass.getpass(f"New password of {username}: ")
        request("u+", username, first)
        second = getpass.getpass("Once more: ")
    except EOFError:
        raise WrongSettings("no password was given") from None
    if first != second:
        raise InvalidArgument("the two passwords differ; nothing was changed")
    return first
