"""The page of one user: the last login, why logins were refused, traffic, the open session."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from state_api.schemas import FieldError, Session
from state_api.times import time_if_any, time_of
from state_api.user_schemas import User
from state_store.credentials.attempts import RefusalReason
from state_store.records import Credential
from state_store.refusals import Refusal
from state_store.repository import user_records
from state_store.user_notes import Origin
from state_store.user_records import DAY_SECONDS, LastLogin, RecordText, Refused

_ADVICE = {
    RefusalReason.WRONG_PASSWORD: "The password is not the user's: compare it in the mail program, or give "
    "the user a new one.",
    RefusalReason.UNKNOWN_USER: "Nobody has this name here: compare its spelling, case and domain.",
    RefusalReason.REPEATED: "A device sends the same wrong password again and again: find it by its address, "
    "and give it the right one.",
    RefusalReason.SLOWED_DOWN: "Too many wrong passwords came from this network, so this one was not "
    "checked: lift the slow-down, or wait.",
    RefusalReason.IN_USE: "Another session has the maildrop open: wait for its end, or close it.",
    RefusalReason.TOO_SOON: "The mail program checks more often than PEEP_LOGIN_DELAY allows: set a longer "
    "interval in it.",
    RefusalReason.SUSPENDED: "The user is suspended: lift the suspension if its reason is over.",
    RefusalReason.BANNED: "The network is banned: lift the ban, or exempt the address.",
    RefusalReason.TLS_WANTED: "The mail program does not use TLS, which PEEP_REQUIRE_TLS demands: set it to "
    "STARTTLS, or to SSL/TLS on the other port.",
    RefusalReason.MAILDROP_UNREADABLE: "The password is right, but the maildir cannot be read, as the detail "
    "says: correct its permissions or the disk.",
    RefusalReason.CONNECTION_LIMIT: "All connections were taken: raise max_connections, or "
    "PEEP_MAX_CONNECTIONS_PER_ADDRESS.",
}


class _From(BaseModel):
    """From where and how somebody logged in, or tried to."""

    at: datetime = Field(description="RFC 3339, UTC, by the clock of Redis.")
    address: str | None = Field(description="The client's.", examples=["192.0.2.7"])
    tls: str | None = Field(description="The version of TLS; null in the clear.", examples=["TLSv1.3"])
    mechanism: str | None = Field(
        description="`USER`, with PASS, or the SASL mechanism; null where none was chosen.",
        examples=["PLAIN"],
    )


class UserLogin(_From):
    """A user's last login."""

    messages: int = Field(description="In the maildrop then.", examples=[20])
    octets: int = Field(description="Of these messages.", examples=[614400])


class UserRefusal(_From):
    """A user's refused logins for one reason; time, address and so on are those of the last one."""

    reason: RefusalReason = Field(examples=["wrong password"])
    count: int = Field(description="How many since the last login.", examples=[3])
    detail: str | None = Field(
        description="Who has the maildrop open and since when, or what is wrong with the maildir. Clients "
        "never get it.",
        examples=["held by 198.51.100.4 since 2026-11-29T20:11:03Z (session bb43ba24-17)"],
    )
    advice: str = Field(description="What to do, in plain words.")


class Traffic(BaseModel):
    """What was sent to a user in a period."""

    model_config = ConfigDict(from_attributes=True)

    octets: int = Field(description="Of replies, as `retrieved_bytes` counts them.", examples=[5120])
    messages: int = Field(description="Sent whole.", examples=[3])


Scheme = Annotated[
    str,
    Field(
        description="`ARGON2ID`, or the scheme of another server's hash until the user logs in.",
        examples=["ARGON2ID"],
    ),
]
OfToday = Annotated[Traffic, Field(description="Of this day, in UTC.")]
OfWeek = Annotated[Traffic, Field(description="Of this day and the six before.")]
OfMonth = Annotated[Traffic, Field(description="Of this calendar month, in UTC.")]
RecordedSince = Annotated[
    datetime | None,
    Field(
        description="When the first record of a login was made, RFC 3339, UTC. Null: there is none, as none "
        "is kept (`PEEP_LOGIN_RECORDS=0`) or nobody has logged in yet."
    ),
]


class Suspension(BaseModel):
    """Why every login of a user is refused."""

    reason: str = Field(description="Shown to the client.", examples=["unpaid"])
    since: datetime = Field(description="RFC 3339, UTC.")
    until: datetime | None = Field(description="When it ends by itself; null: never.")
    by: str = Field(description="Who has set it.", examples=["admin"])


class UserDetails(User):
    """A user, with the record of logins (`PEEP_LOGIN_RECORDS`)."""

    suspension: Suspension | None = Field(description="Null: the user is not suspended.")

    password_scheme: Scheme
    last_login: UserLogin | None = Field(description="Null: none is known.")
    refusals: list[UserRefusal] = Field(description="One for each reason, the latest first.")
    today: OfToday
    week: OfWeek
    month: OfMonth
    session: Session | None = Field(description="The one that has the maildrop open now.")
    recorded_since: RecordedSince


class ListedUser(User):
    """A user as lists show it; the figures are some seconds old."""

    suspended: bool = Field(description="Whether every login is refused.", examples=[False])
    password_scheme: Scheme
    last_login_at: datetime | None = Field(description="RFC 3339, UTC; null: none is known.")
    last_refusal_at: datetime | None = Field(description="RFC 3339, UTC; null: none is known.")
    last_refusal_reason: RefusalReason | None = Field(
        description="Why that was; null: none is known.", examples=["wrong password"]
    )
    today: OfToday
    week: OfWeek
    month: OfMonth
    maildrop_octets: int = Field(description="Of the maildrop at the last login.", examples=[614400])


class UserPage(BaseModel):
    """Some of the users, in the order that was asked for."""

    users: list[ListedUser]
    next: str | None = Field(
        description="Give this as `after` to get the next page; null on the last one, and where the list is "
        "sorted or filtered.",
        examples=["alice"],
    )
    total: int | None = Field(
        description="Where the list is sorted or filtered: how many users are on all pages.", examples=[812]
    )
    refused_unknown_names: int | None = Field(
        None,
        description="With `refused_days`: how many logins under unknown names were refused so far; the log "
        "has the names.",
        examples=[4],
    )
    recorded_since: RecordedSince


def listed(user: user_records.ListedUser) -> ListedUser:
    """Return a user as lists show it."""
    record = RecordText(user.record)
    today, week, month = record.traffic(user.at // DAY_SECONDS)
    return ListedUser(
        username=user.username,
        suspended=user.is_suspended,
        password_scheme=user.scheme,
        last_login_at=time_if_any(record.last_login_at),
        last_refusal_at=time_if_any(record.last_refusal_at),
        last_refusal_reason=record.last_refusal_reason,
        today=Traffic.model_validate(today),
        week=Traffic.model_validate(week),
        month=Traffic.model_validate(month),
        maildrop_octets=record.maildrop_octets,
    )


def details(
    username: str,
    credential: Credential,
    found: user_records.UserRecords,
    session: Session | None,
    suspension: Refusal | None,
) -> UserDetails:
    """Return a user's page."""
    record = found.records[username]
    return UserDetails(
        username=username,
        suspension=_suspension(suspension) if suspension else None,
        password_scheme=credential.scheme,
        last_login=_last_login(record.last_login) if record.last_login else None,
        refusals=list(map(_refusal, record.refused)),
        today=Traffic.model_validate(record.today),
        week=Traffic.model_validate(record.week),
        month=Traffic.model_validate(record.month),
        session=session,
        recorded_since=time_if_any(found.since),
    )


def refused_unknown_names(found: user_records.UserRecords) -> int:
    """Return how many logins under unknown names were refused so far."""
    return sum(one.count for one in _of_unknown_names(found))


def about_unknown_names(found: user_records.UserRecords) -> list[FieldError] | None:
    """Return a line about refused logins under unknown names; None without any."""
    refused = _of_unknown_names(found)
    if not refused:
        return None
    last = time_of(max(one.at for one in refused))
    text = (
        f"{refused_unknown_names(found):,} logins under unknown names were refused so far, the last one at "
        f"{last:%Y-%m-%d %H:%M:%S} UTC: the log has each, with the name, as `login refused`"
    )
    return [FieldError(field="username", message=text)]


def _of_unknown_names(found: user_records.UserRecords) -> list[Refused]:
    reasons = {RefusalReason.UNKNOWN_USER, RefusalReason.REPEATED}
    return [one for one in found.records[user_records.STRANGERS].refused if one.reason in reasons]


def _suspension(one: Refusal) -> Suspension:
    return Suspension(reason=one.reason, since=time_of(one.since), until=time_if_any(one.until), by=one.by)


def _last_login(login: LastLogin) -> UserLogin:
    """Return a login as the API shows it."""
    return UserLogin(**_origin(login.at, login.origin), messages=login.messages, octets=login.octets)


def _refusal(one: Refused) -> UserRefusal:
    return UserRefusal(
        **_origin(one.at, one.origin),
        reason=one.reason,
        count=one.count,
        detail=one.detail or None,
        advice=_ADVICE[one.reason],
    )


def _origin(at: int, origin: Origin) -> dict[str, datetime | str | None]:
    return {"at": time_of(at), **{name: text or None for name, text in origin._asdict().items()}}
