"""`refusals list|suspend|ban|exempt|lift`: users who may not log in, and networks that may not connect."""

import enum
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from peepctl.http_api import ApiRefused, HttpApi
from peepctl.moments import moment, utc_minute
from peepctl.name_lists import read_names
from peepctl.options import AsJson, complain, connected
from peepctl.output import say, say_json, say_table
from peepctl.questions import is_agreed
from peepctl.server import Exit, Server
from peepctl.sources import WrongSettings


class Kind(enum.Enum):
    """What is refused, by the names that are typed."""

    SUSPEND = "suspend"
    BAN = "ban"
    EXEMPT = "exempt"


_DONE = {Kind.SUSPEND: "suspended", Kind.BAN: "banned", Kind.EXEMPT: "exempted"}
_WORDS = {"suspend": "suspension", "ban": "ban", "exempt": "exemption", "slow-down": "slow-down"}
_NOT_SET = {
    "unknown user": "there is no such user",
    "past": "its end is in the past",
    "full": "there are 10,000 refusals already, which is the limit",
}
_REFUSALS = "/v1/refusals"
_SLOW_DOWNS = "/v1/slow-downs"
_LARGEST_PAGE = 1000
_AT_ONCE = 500
"""Users or networks in one request."""

_A_SUBJECT = re.compile(r"refusals\.([0-9]+)\.subject").fullmatch
"""The name of a malformed subject in the API's answer."""

Reason = Annotated[
    str,
    typer.Option(help="What mail programs show: up to 200 ASCII characters.", show_default="a general text"),
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="When it ends by itself: 90m, 2h, 7d from now, 2027-03-01, or 2027-03-01T14:00.",
        show_default="no end",
    ),
]
Networks = Annotated[
    list[str],
    typer.Argument(
        metavar="NETWORK", help="Addresses or networks, as 192.0.2.7 or 2001:db8::/32.", show_default=False
    ),
]


@connected
def list_refusals(
    server: Server,
    kind: Annotated[Kind | None, typer.Option(help="Only those of this kind.")] = None,
    text: Annotated[
        str, typer.Option(help="Only those with this in the subject, the reason or the setter's name.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List suspended users, banned and exempt networks, and slow-downs for wrong passwords.

    Whose logins were refused, peepctl users list --refused 1d tells, and peepctl users show why. It talks to
    the HTTP API.
    """
    with server.api() as api:
        found = list(_refusals(api, {"kind": kind.value if kind else "", "text": text}))
        slow = [] if kind or text else api.get(_SLOW_DOWNS)["slow_downs"]
    if as_json:
        say_json({"refusals": found, "slow_downs": slow})
        return
    rows = [
        (one["kind"], one["subject"], _end_shown(one), one["by"], one["reason"] or "-", one["id"])
        for one in found
    ]
    rows += [
        ("slow-down", _whom(one), _end_shown(one), "-", f"{one['attempts']:,} delayed", one["id"])
        for one in slow
    ]
    if not rows:
        say("there is none; peepctl users list --refused 1d lists whose logins were refused")
        return
    say_table(("KIND", "SUBJECT", "UNTIL", "BY", "REASON", "ID"), rows)


@connected
def suspend(
    server: Server,
    users: Annotated[
        list[str] | None, typer.Argument(metavar="USER", help="POP3 users.", show_default=False)
    ] = None,
    reason: Reason = "",
    until: Until = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Suspend the users of a list, a name a line; - is standard input. It needs the role all.",
            show_default=False,
        ),
    ] = None,
) -> Exit:
    """Suspend users: they cannot log in, and open sessions end with the reason.

    Only the right password is answered with the reason. Mail still arrives, and the password stays. It talks
    to the HTTP API.
    """
    if bool(users) == (source is not None):
        raise WrongSettings("who is to be suspended? Give names, or --from FILE")
    end, failed, last = _end(until), 0, None
    if source is not None:
        return _suspend_listed(server, read_names(source), {"reason": reason, "until": end})
    with server.api() as api:
        for user in users or ():
            try:
                done = api.put(_suspension(user), {"reason": reason, "until": end})
            except ApiRefused as error:
                complain(f"nothing was changed for {user}: {error.why}")
                failed += 1
            else:
                say(f"{_DONE[Kind.SUSPEND]} {user}")
                last = done
    if last is not None:
        _warn(last)
    return Exit.REFUSED if failed else Exit.DONE


@connected
def ban(
    server: Server,
    networks: Networks,
    reason: Reason = "",
    until: Until = None,
    is_sure: Annotated[
        bool, typer.Option("--yes", "-y", help="Ban everybody, or your own address, without a question.")
    ] = False,
) -> Exit:
    """Ban networks from POP3: sessions end with the reason, and clients get it instead of the greeting.

    PEEP and HTTP stay open, and an exemption wins over any ban. It talks to the HTTP API.
    """
    return _set(server, Kind.BAN, networks, reason, _end(until), is_sure=is_sure)


@connected
def exempt(
    server: Server,
    networks: Networks,
    reason: Reason = "",
    until: Until = None,
    is_sure: Annotated[
        bool, typer.Option("--yes", "-y", help="Exempt everybody without a question.")
    ] = False,
) -> Exit:
    """Exempt networks: they are never banned, and their wrong passwords never slowed down.

    It talks to the HTTP API.
    """
    return _set(server, Kind.EXEMPT, networks, reason, _end(until), is_sure=is_sure)


@connected
def lift(
    server: Server,
    target: Annotated[
        str,
        typer.Argument(
            metavar="ID|USER|NETWORK",
            help="What is refused, as peepctl refusals list shows it.",
            show_default=False,
        ),
    ],
    kind: Annotated[Kind | None, typer.Option(help="Only what is of this kind.")] = None,
) -> Exit:
    """Lift a suspension, ban or exemption, or a slow-down for wrong passwords.

    It talks to the HTTP API.
    """
    is_id = re.fullmatch(r"[0-9a-f]{12}", target) is not None
    with server.api() as api:
        wanted = {"kind": kind.value if kind else "", "text": "" if is_id else target}
        meant = [one for one in _refusals(api, wanted) if target in (one["id"], one["subject"])]
        if kind is None:
            slow = api.get(_SLOW_DOWNS)["slow_downs"]
            meant += [one for one in slow if target in (one["id"], one["network"], one["username"])]
        if not meant:
            complain(f"there is no refusal of {target}: peepctl refusals list shows all")
            return Exit.REFUSED
        if len(meant) > 1:
            names = "; ".join(f"{one['id']} ({one.get('kind', 'slow-down')})" for one in meant)
            complain(f"there are several refusals of {target}; give the id of one: {names}")
            return Exit.USAGE
        (one,) = meant
        api.delete(_path(one))
    say(f"lifted the {_WORDS[one.get('kind', 'slow-down')]} of {one.get('subject') or _whom(one)}")
    return Exit.DONE


def _set(
    server: Server, kind: Kind, networks: Sequence[str], reason: str, end: str | None, *, is_sure: bool
) -> Exit:
    new = [{"kind": kind.value, "subject": one, "reason": reason, "until": end} for one in networks]
    failed = 0
    with server.api() as api:
        for first in range(0, len(new), _AT_ONCE):
            body = {"refusals": new[first : first + _AT_ONCE]}
            try:
                done = api.post(f"{_REFUSALS}?confirm={str(is_sure).lower()}", body)
            except ApiRefused as error:
                if error.kind != "needs-confirmation":
                    complain(f"nothing is set: {error.why}")
                    return Exit.REFUSED
                if not _is_agreed(_WORDS[kind.value], error.reasons):
                    return Exit.REFUSED
                done = api.post(f"{_REFUSALS}?confirm=true", body)
            failed += _report_all(kind, done)
    return Exit.REFUSED if failed else Exit.DONE


def _suspend_listed(server: Server, users: list[str], how: dict[str, str | None]) -> Exit:
    """Suspend all users whose names are well-formed, and say what is wrong with each other name."""
    failed = 0
    with server.api() as api:
        while users:
            batch = users[:_AT_ONCE]
            new = [{"kind": Kind.SUSPEND.value, "subject": user, **how} for user in batch]
            try:
                failed += _report_all(Kind.SUSPEND, api.post(_REFUSALS, {"refusals": new}))
            except ApiRefused as error:
                malformed = {
                    batch[int(found[1])]: why for field, why in error.faults if (found := _A_SUBJECT(field))
                }
                if not malformed:
                    complain(f"{batch[0]} and those after it in the list are not suspended: {error.why}")
                    return Exit.REFUSED
                for user, why in malformed.items():
                    complain(f"{user} is not set: {why}")
                failed += len(malformed)
                users = [user for user in users if user not in malformed]
            else:
                users = users[_AT_ONCE:]
    return Exit.REFUSED if failed else Exit.DONE


def _is_agreed(word: str, reasons: Sequence[str]) -> bool:
    return is_agreed(
        "Set it all the same?",
        f"this {word} {'; '.join(reasons)}. Nothing is set: --yes does it all the same",
        reasons=[f"This {word} {reason}." for reason in reasons],
    )


def _report_all(kind: Kind, done: dict[str, Any]) -> int:
    """Report the outcome of each refusal, and return how many were not set."""
    failed = 0
    for one in done["results"]:
        if one["outcome"] == "set":
            say(f"{_DONE[kind]} {one['subject']}")
        else:
            complain(f"{one['subject']} is not set: {_NOT_SET[one['outcome']]}")
            failed += 1
    if failed < len(done["results"]):
        _warn(done)
    return failed


def _warn(done: dict[str, Any]) -> None:
    """Say which POP3 processes do not apply what was set."""
    if ignorant := done.get("ignorant"):
        which = ", ".join(ignorant)
        complain(f"the POP3 service of {which} knows no refusals and lets everybody in: upgrade it")
    elif not done["is_obeyed"]:
        complain("a POP3 process does not answer; it will apply this once it does")


def _refusals(api: HttpApi, wanted: dict[str, str]) -> Iterator[dict[str, Any]]:
    query = {name: value for name, value in wanted.items() if value} | {"limit": str(_LARGEST_PAGE)}
    for page in api.pages(_REFUSALS, query, "after"):
        yield from page["refusals"]


def _path(refused: dict[str, Any]) -> str:
    if "kind" not in refused:
        return f"{_SLOW_DOWNS}/{refused['id']}"
    # The help desk may lift suspensions, and nothing else.
    is_suspension = refused["kind"] == Kind.SUSPEND.value
    return _suspension(refused["subject"]) if is_suspension else f"{_REFUSALS}/{refused['id']}"


def _suspension(user: str) -> str:
    return f"/v1/users/{quote(user, safe='')}/suspension"


def _end(until: str | None) -> str | None:
    end = moment("--until", until, is_ahead=True)
    return end.isoformat() if end is not None else None


def _end_shown(refused: dict[str, Any]) -> str:
    return utc_minute(refused["until"]) if refused["until"] else "-"


def _whom(slow_down: dict[str, Any]) -> str:
    return f"{slow_down['username'] or 'anybody'} from {slow_down['network'] or 'anywhere'}"


def group() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help="Suspend users; ban and exempt networks.", no_args_is_help=True)
    app.command("list")(list_refusals)
    app.command("suspend")(suspend)
    app.command("ban")(ban)
    app.command("exempt")(exempt)
    app.command("lift")(lift)
    return app
