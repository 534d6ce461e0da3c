"""`users add --from`: many users, with passwords of the list or with made ones."""

import secrets
import string
import sys
from collections import Counter
from collections.abc import Sequence

import typer

from peepctl.http_api import HttpApi
from peepctl.name_lists import read_new_users
from peepctl.options import complain
from peepctl.output import say
from peepctl.server import Exit, Server
from peepctl.user_passwords import UserPassword

A_REQUEST = 50
"""Users in one request: each password is hashed, and progress should be shown."""

_LETTERS = string.ascii_letters + string.digits
_MADE_CHARACTERS = 20  # 119 bits


def add_listed(server: Server, source: str) -> Exit:
    """Add the users of a list, print the passwords that were made, and report users that were not added."""
    users = read_new_users(source)
    outcomes = Counter[str]()
    with server.api() as api:
        for first in range(0, len(users), A_REQUEST):
            outcomes += _add(api, users[first : first + A_REQUEST])
            if sys.stderr.isatty():
                typer.echo(f"{outcomes.total():,} of {len(users):,}", err=True)
    counts = ", ".join(f"{number:,} {name}" for name, number in sorted(outcomes.items()))
    if set(outcomes) > {"added"} or "added" not in outcomes:
        complain(counts)
        return Exit.REFUSED
    if sys.stdout.isatty():  # else it is a file, which has the passwords alone
        say(counts)
    return Exit.DONE


def _add(api: HttpApi, users: Sequence[UserPassword]) -> Counter[str]:
    passwords = {user.username: user.password or _made() for user in users}
    body = [{"username": name, "password": password} for name, password in passwords.items()]
    trial = api.post("/v1/users", {"users": body, "dry_run": True})["results"]
    results = api.post("/v1/users", {"users": body})["results"]
    for user, before, result in zip(users, trial, results, strict=True):
        if api.was_repeated and result["outcome"] == "exists" and before["outcome"] == "added":
            result["outcome"] = "added"  # by the first try, whose answer was lost
        match result["outcome"]:
            case "added" if not user.password:
                say(f"{user.username}:{passwords[user.username]}")
            case "exists":
                complain(f"{user.username} exists already, with the password that it had")
            case "refused":
                complain(f"{user.username} is not added: {result['reason']}")
    sys.stdout.flush()  # what follows may fail, and these are shown only now
    return Counter(result["outcome"] for result in results)


def _made() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_MADE_CHARACTERS))
