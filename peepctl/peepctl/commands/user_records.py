"""`users show|top` and the sorted forms of `users list`: users' records, over the HTTP API."""

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from peepctl.completion import users as user_names
from peepctl.http_api import ApiError, ApiRefused
from peepctl.moments import local_seconds, utc_minute
from peepctl.options import AsJson, complain, connected
from peepctl.output import amount, duration, say, say_json, say_list, say_table
from peepctl.server import Server

PAGE = 1000
NOTHING = "-"

KnownUsername = Annotated[
    str, typer.Argument(metavar="USER", help="A POP3 user's name.", autocompletion=user_names)
]


class Sort(enum.Enum):
    """What users are sorted by, by the names that are typed."""

    NAME = "name"
    LAST_LOGIN = "last-login"
    LAST_REFUSAL = "last-refusal"
    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    MAILDROP = "maildrop"


_NO_RECORD = (
    "nothing is known of logins: no records are kept (PEEP_LOGIN_RECORDS=0), or nobody has logged in yet"
)


class Period(enum.Enum):
    """The times that traffic is counted for."""

    TODAY = "today"
    WEEK = "week"
    MONTH = "month"


@connected
def show(server: Server, username: KnownUsername, as_json: AsJson = False) -> None:
    """Show why a user's logins were refused, the last login, traffic, and the session that is open.

    Days and months are those of UTC. It talks to the HTTP API.
    """
    with server.api() as api:
        try:
            user = api.get(f"/v1/users/{quote(username, safe='')}")
        except ApiRefused as error:
            for reason in error.reasons if error.kind == "unknown-user" else ():
                complain(reason)
            raise
    if as_json:
        say_json(user)
        return
    say_list([(name, text) for name, text in _facts(user) if text])
    for one in user["refusals"]:
        say("")
        since = f"{one['count']} since the last login" if one["count"] else "none since the last login"
        say(f"refused: {one['reason']}, {since}; the last one {_when(one['at'])} {_origin(one)}")
        if one["detail"]:
            say(f"  {local_seconds(one['detail'])}")
        say(f"  {one['advice']}")


def _facts(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    login, session, suspension = user["last_login"], user["session"], user["suspension"]
    since = user["recorded_since"]
    unknown = f"none since {since[:10]}" if since else f"none: {_NO_RECORD}"
    return [
        ("user", user["username"]),
        ("suspended", _suspended(suspension) if suspension else ""),
        ("last login", f"{_when(login['at'])} {_origin(login)}" if login else unknown),
        ("maildrop then", f"{login['messages']:,} messages, {amount(login['octets'])}" if login else ""),
        ("open session", _session(session) if session else NOTHING),
        *((name, _traffic(user[name])) for name in ("today", "week", "month")),
        ("password", user["password_scheme"]),
    ]


def _suspended(one: Mapping[str, Any]) -> str:
    until = f", until {utc_minute(one['until'])}" if one["until"] else ""
    return f"by {one['by']} {_when(one['since'])}{until}: {one['reason']}"


def _session(one: Mapping[str, Any]) -> str:
    return f"{one['id']} from {one['address']}, for {duration(one['seconds'])}: peepctl kick {one['id']}"


def _traffic(one: Mapping[str, int]) -> str:
    return f"{one['messages']:,} messages, {amount(one['octets'])}"


def _origin(one: Mapping[str, Any]) -> str:
    words = [f"from {one['address']}"] if one["address"] else []
    if one["mechanism"]:
        words.append(f"by {one['mechanism']}, {one['tls'] or 'without TLS'}")
    return " ".join(words)


def _refused(one: Mapping[str, Any]) -> str:
    when = _when(one["last_refusal_at"])
    reason = one.get("last_refusal_reason")  # an earlier server tells none
    return f"{when}, {reason}" if reason else when


def _when(moment: str | None) -> str:
    if moment is None:
        return NOTHING
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return f"{duration(max(0.0, seconds))} ago"


@connected
def top(
    server: Server,
    period: Annotated[
        Period, typer.Argument(metavar="today|week|month", help="Of which time.")
    ] = Period.TODAY,
    most: Annotated[int, typer.Option("--limit", "-n", min=1, max=PAGE, help="How many users.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the users to whom most octets were sent, today, in 7 days or this month (UTC).

    It talks to the HTTP API.
    """
    with server.api() as api:
        page = api.get(f"/v1/users?{urlencode({'sort': period.value, 'descending': True, 'limit': most})}")
    if as_json:
        say_json(page)
        return
    _warn(page)
    used = [one for one in page["users"] if one[period.value]["octets"]]
    say_table(
        ("USER", "SENT", "MESSAGES", "LAST LOGIN"),
        [
            (
                one["username"],
                amount(one[period.value]["octets"]),
                f"{one[period.value]['messages']:,}",
                _when(one["last_login_at"]),
            )
            for one in used
        ],
    )


def _warn(page: Mapping[str, Any], not_since_days: int | None = None) -> None:
    """Warn if logins are known for a shorter time than a list of users asks for.

    Raises `ApiError` if none are known, since the list would then name everybody.
    """
    since = page.get("recorded_since", "")  # an earlier state-api does not say
    if since is None and not_since_days is not None:
        raise ApiError(_NO_RECORD)
    if since is None:
        complain(_NO_RECORD)
    elif since and not_since_days is not None:
        known = datetime.now(UTC) - datetime.fromisoformat(since)
        if known.days < not_since_days:
            complain(
                f"logins are known since {since[:10]} only: all who have not logged in since then are listed"
            )


def say_listed(server: Server, query: Mapping[str, Any], *, as_json: bool, only_names: bool) -> None:
    """Print the users that match `query`, of `GET /v1/users`, with figures or `only_names`."""
    users: list[dict[str, Any]] = []
    with server.api() as api:
        while True:
            page: dict[str, Any] = api.get(
                f"/v1/users?{urlencode({**query, 'limit': PAGE, 'offset': len(users)})}"
            )
            users += page["users"]
            if len(page["users"]) < PAGE:
                break
    _warn(page, query.get("not_since_days"))
    if as_json:
        say_json({"users": users})
        return
    if only_names:
        for one in users:
            say(one["username"])
        return
    say_table(
        ("USER", "LAST LOGIN", "LAST REFUSAL", "TODAY", "7 DAYS", "MAILDROP", "PASSWORD", ""),
        [
            (
                one["username"],
                _when(one["last_login_at"]),
                _refused(one),
                amount(one["today"]["octets"]),
                amount(one["week"]["octets"]),
                amount(one["maildrop_octets"]),
                one["password_scheme"],
                "suspended" if one["suspended"] else "",
            )
            for one in users
        ],
    )
    if unknown := page.get("refused_unknown_names"):
        logins = "login" if unknown == 1 else "logins"
        say(f"and {unknown:,} refused {logins} under unknown names; the log has each: `login refused`")
