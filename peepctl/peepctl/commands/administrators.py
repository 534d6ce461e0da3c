"""`admins list|add|password|role|remove` and `tokens list|make|revoke`: who may do what."""

import enum
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import quote

import typer

from peepctl.http_api import HttpApi
from peepctl.moments import utc_minute
from peepctl.options import AsJson, PasswordFromInput, connected
from peepctl.output import say, say_json, say_table
from peepctl.passwords import new_password
from peepctl.questions import is_agreed
from peepctl.server import Exit, Server


class Role(enum.Enum):
    """What an administrator or a token may do, by the names that are typed."""

    READ = "read"
    HELPDESK = "helpdesk"
    ALL = "all"


_ADMINISTRATORS = "/v1/administrators"
_TOKENS = "/v1/tokens"

Name = Annotated[str, typer.Argument(metavar="NAME", help="An administrator's name.", show_default=False)]
TokenName = Annotated[str, typer.Argument(metavar="NAME", help="The token's name.", show_default=False)]
RoleOption = Annotated[Role, typer.Option("--role", help="What the administrator or token may do.")]


@connected
def list_administrators(server: Server, as_json: AsJson = False) -> None:
    """List the administrators.

    Those from settings (PEEP_ADMINS) can be changed there only. It talks to the HTTP API.
    """
    with server.api() as api:
        found = api.get(_ADMINISTRATORS)
    if as_json:
        say_json(found)
        return
    say_table(
        ("NAME", "ROLE", "FROM"),
        [
            (one["name"], one["role"], "settings" if one["is_from_settings"] else "-")
            for one in found["administrators"]
        ],
    )


@connected
def add_administrator(
    server: Server, name: Name, role: RoleOption, from_input: PasswordFromInput = False
) -> None:
    """Make an administrator, who can sign in at once.

    Prompts for the password twice, or reads it from standard input if that is not a terminal. Only the role
    all signs in to PEEP. It talks to the HTTP API.
    """
    password = new_password(name, None, from_input=from_input)
    with server.api() as api:
        api.post(_ADMINISTRATORS, {"name": name, "password": password, "role": role.value})
    say(f"added the administrator {name} with the role {role.value}")


@connected
def set_administrator_password(server: Server, name: Name, from_input: PasswordFromInput = False) -> None:
    """Change an administrator's password, which ends all sign-ins with the old one.

    Prompts for it twice, or reads it from standard input if that is not a terminal. It talks to the HTTP API.
    """
    password = new_password(name, None, from_input=from_input)
    with server.api() as api:
        api.put(f"{_path(name)}/password", {"password": password})
    say(f"changed the password of the administrator {name}; all sign-ins with the old one are over")


@connected
def set_role(
    server: Server,
    name: Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="read, helpdesk or all.", show_default=False)],
) -> None:
    """Change an administrator's role, which ends all sign-ins with the old one.

    It talks to the HTTP API.
    """
    with server.api() as api:
        api.put(f"{_path(name)}/role", {"role": role.value})
    say(f"the administrator {name} has the role {role.value} now")


@connected
def remove_administrator(
    server: Server,
    name: Name,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
) -> Exit:
    """Remove an administrator, and end all sign-ins.

    API tokens that this one has made stay valid, and are listed. It talks to the HTTP API.
    """
    if not is_sure and not is_agreed(
        f"Remove the administrator {name}?", f"--yes removes the administrator {name} without a question"
    ):
        return Exit.REFUSED
    with server.api() as api:
        api.delete(_path(name))
        say(f"removed the administrator {name}")
        if tokens := _tokens_of(api, name):
            say(f"API tokens that {name} has made stay valid: {', '.join(tokens)} (peepctl tokens revoke)")
    return Exit.DONE


@connected
def list_tokens(server: Server, as_json: AsJson = False) -> None:
    """List the API tokens, without their secrets.

    It talks to the HTTP API.
    """
    with server.api() as api:
        found = api.get(_TOKENS)
    if as_json:
        say_json(found)
        return
    say_table(
        ("NAME", "ROLE", "NETWORKS", "ENDS", "MADE BY", "LAST USED", "FROM"),
        [
            (
                one["name"],
                one["role"],
                ", ".join(one["networks"]) or "any",
                utc_minute(one["ends_at"]) if one["ends_at"] else "never",
                one["made_by"],
                utc_minute(one["used_at"]) if one["used_at"] else "not yet",
                one["used_from"] or "-",
            )
            for one in found["tokens"]
        ],
    )


@connected
def make_token(
    server: Server,
    name: TokenName,
    role: RoleOption,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="NETWORK",
            help="Where it may be used from, as 10.0.0.0/8; may be repeated.",
            show_default="any",
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            metavar="DAYS", min=1, max=36500, help="After so many days it ends.", show_default="never"
        ),
    ] = None,
) -> None:
    """Make an API token, and print it: this is the only time that it is shown.

    Programs send it as Authorization: Bearer. It talks to the HTTP API.
    """
    ends_at = (datetime.now(UTC) + timedelta(days=days)).isoformat() if days is not None else None
    body = {"name": name, "role": role.value, "networks": networks or [], "ends_at": ends_at}
    with server.api() as api:
        made = api.post(_TOKENS, body)
    say(made["token"])
    if sys.stdout.isatty():  # else a file or a program takes it
        say("keep it: only its digest is stored")


@connected
def revoke_token(server: Server, name: TokenName) -> None:
    """Revoke an API token: from now on it is refused.

    It talks to the HTTP API.
    """
    with server.api() as api:
        api.delete(f"{_TOKENS}/{quote(name, safe='')}")
    say(f"revoked the token {name}")


def admins() -> typer.Typer:
    """Return the group of commands about administrators."""
    app = typer.Typer(help="List and change the administrators.", no_args_is_help=True)
    app.command("list")(list_administrators)
    app.command("add")(add_administrator)
    app.command("password")(set_administrator_password)
    app.command("role")(set_role)
    app.command("remove")(remove_administrator)
    return app


def tokens() -> typer.Typer:
    """Return the group of commands about API tokens."""
    app = typer.Typer(help="List, make and revoke the API tokens.", no_args_is_help=True)
    app.command("list")(list_tokens)
    app.command("make")(make_token)
    app.command("revoke")(revoke_token)
    return app


def _path(name: str) -> str:
    return f"{_ADMINISTRATORS}/{quote(name, safe='')}"


def _tokens_of(api: HttpApi, name: str) -> list[str]:
    return [one["name"] for one in api.get(_TOKENS)["tokens"] if one["made_by"] == name]
