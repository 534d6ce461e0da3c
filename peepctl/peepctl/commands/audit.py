"""`audit`: who has done what, when, and through which door (PEEP, HTTP, dashboard, machine)."""

import enum
import json
import sys
import time
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from peepctl.commands.settings import AUDIT, Setting, field_of
from peepctl.http_api import ApiUnreachable, HttpApi
from peepctl.moments import local_second, moment
from peepctl.options import complain, connected
from peepctl.output import say, say_json, say_table, shortened, shown
from peepctl.server import Exit, Server
from peepctl.sources import WrongSettings

WAIT_SECONDS = 20
RETRY_SECONDS = 1.0

_HEAD = ("TIME", "WHO", "DOOR", "FROM", "ACTION", "OBJECT", "OLD", "NEW", "ID")
_LONGEST_CELL = 48
_LARGEST_PAGE = 1000
_SHOWN = 50
"""The entries of a table, or of JSON, unless somebody says how many."""
_SETTINGS = {one.value for one in Setting}
_WIDTHS = (19, 12, 9, 15, 20, 24, 12, 12)
"""Of columns whose later rows are not known yet."""

_Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", min=1, max=1000, help="The latest so many.", show_default="50, in jsonl and csv all"
    ),
]


class Door(enum.Enum):
    """The ways in which something is done, by the names that are typed."""

    PEEP = "peep"
    HTTP = "http"
    DASHBOARD = "dashboard"
    MACHINE = "machine"


class Format(enum.Enum):
    """The forms of the output."""

    TABLE = "table"
    JSON = "json"
    JSON_LINES = "jsonl"
    CSV = "csv"


@connected
def audit(
    server: Server,
    who: Annotated[str | None, typer.Option(metavar="NAME", help="Only what this administrator did.")] = None,
    door: Annotated[Door | None, typer.Option(help="Only what was done this way.")] = None,
    action: Annotated[
        str | None, typer.Option(metavar="ACTION", help="Only this, as user.add; user is all of user.*.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--object", metavar="NAME", help="Only acts on this user, setting or other object."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="2026-11-29, 2026-11-29T14:00, or 2h (ago).")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="The same.")] = None,
    limit: _Limit = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new entries.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How they are written.")] = Format.TABLE,
) -> Exit:
    """Show who has done what, the latest last.

    Every change and every sign-in of an administrator; sign-ins by PEEP and HTTP are one entry an hour. It
    talks to the HTTP API.
    """
    times = {"since": moment("--since", since), "until": moment("--until", until)}
    given = {"who": who, "door": door.value if door else None, "action": action, "object": _recorded(on)}
    query = {name: value for name, value in given.items() if value}
    query |= {name: time.isoformat() for name, time in times.items() if time is not None}
    with server.api() as api:
        if follow:
            return _follow(api, query, limit, form)
        _show(api, query, limit, form)
    return Exit.DONE


def _recorded(name: str | None) -> str | None:
    """Return the name that the audit has for an object: `peepctl set` has other names for settings."""
    return field_of(name) if name in _SETTINGS else name


def _show(api: HttpApi, query: dict[str, str], limit: int | None, form: Format) -> None:
    if form in (Format.JSON_LINES, Format.CSV):
        some = {} if limit is None else {"limit": limit}
        sys.stdout.write(api.text(_path(query, format=form.value, **some)))
        return
    page = api.get(_path(query, limit=limit or _SHOWN))
    if form is Format.JSON:
        say_json(page)
    else:
        say_table(_HEAD, map(_row, reversed(page["acts"])))


def _follow(api: HttpApi, query: dict[str, str], limit: int | None, form: Format) -> Exit:
    if form in (Format.JSON, Format.CSV):
        raise WrongSettings("--follow goes with --format table or jsonl")
    if form is Format.JSON_LINES and limit is None:
        acts, after = [], "0-0"
    else:
        # Asked for first: what comes before the answer to the next question is in one of both.
        newest = api.get(_path({}, limit=1))["acts"]
        acts = list(reversed(api.get(_path(query, limit=limit or _SHOWN))["acts"]))
        after = max((one["id"] for one in (*acts[-1:], *newest)), key=_position, default="0-0")
        if form is Format.TABLE:
            _say_lines([_HEAD])
    wait = max(1, min(WAIT_SECONDS, int(api.answer_seconds / 2)))
    try:
        while True:
            if form is Format.TABLE:
                _say_lines(map(_row, acts))
            else:
                for act in acts:
                    typer.echo(json.dumps(act))
            page = _patiently(api, _path(query, after=after, wait=wait, limit=_LARGEST_PAGE))
            acts, after = page["acts"], page["next"]
    except KeyboardInterrupt:
        return Exit.DONE


def _patiently(api: HttpApi, path: str) -> Any:
    """Ask again while the API is away, if it has answered before: no entry is missed."""
    is_told = False
    while True:
        try:
            return api.get(path)
        except ApiUnreachable as error:
            if not is_told:
                complain(f"{error}; waiting for it")
            is_told = True
            time.sleep(RETRY_SECONDS)


def _position(act_id: str) -> tuple[int, ...]:
    return tuple(map(int, act_id.split("-")))


def _path(query: dict[str, str], **more: str | int) -> str:
    return f"{AUDIT}?{urlencode({**query, **more})}"


def _row(act: dict[str, Any]) -> list[str]:
    who = f"{act['who']} ({act['token']})" if act["token"] else act["who"]
    cells = [who, act["door"], act["address"], act["action"], act["object"], act["old"], act["new"]]
    return [local_second(act["at"]), *(shortened(cell, _LONGEST_CELL) or "-" for cell in cells), act["id"]]


def _say_lines(rows: Iterable[Iterable[str]]) -> None:
    for row in rows:
        *cells, last = row
        padded = (shown(cell).ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
        say("  ".join([*padded, last]))
    sys.stdout.flush()
