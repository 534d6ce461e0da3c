"""The bodies of requests and responses. Ranges are those of the store's records, so HTTP and PEEP agree."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from state_api.times import time_of
from state_store.records import MAX_CONNECTIONS_RANGE, TIMEOUT_SECONDS_RANGE

MAX_ARGUMENT_OCTETS = 128
"""PEEP's limit of an argument (section 2.1): whatever HTTP takes, PEEP can show and change."""

# The alphabet of P11, with slashes: `m=` could not carry any other octet.
_PATH = re.compile(r"/[!-~]{0,127}")


def _normal_path(text: str) -> str:
    # As over PEEP: `..` is refused, not resolved, because after a link it would lead elsewhere.
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not _PATH.fullmatch(text) or ".." in parts:
        raise ValueError(
            "must be an absolute path without .., of at most 128 characters of printable ASCII without space"
        )
    return "/" + "/".join(parts)


def encodable(text: str) -> str:
    """Return a text as it is. Raises `ValueError` for one that UTF-8 cannot carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON can spell half a surrogate pair, which no hash function takes.
        raise ValueError("must be text that UTF-8 can carry") from None
    return text


MaxConnections = Annotated[
    int,
    Field(
        strict=True,
        ge=MAX_CONNECTIONS_RANGE[0],
        le=MAX_CONNECTIONS_RANGE[-1],
        description="POP3 connections at one time, over all instances (PEEP `c=`).",
        examples=[1000],
    ),
]
TimeoutSeconds = Annotated[
    int,
    Field(
        strict=True,
        ge=TIMEOUT_SECONDS_RANGE[0],
        le=TIMEOUT_SECONDS_RANGE[-1],
        description="Seconds without a command that close a POP3 connection; 0 for no limit (PEEP `t=`).",
        examples=[600],
    ),
]
MailDirectory = Annotated[
    str,
    AfterValidator(_normal_path),
    WithJsonSchema({"type": "string", "maxLength": MAX_ARGUMENT_OCTETS, "pattern": f"^{_PATH.pattern}$"}),
    Field(
        description="The folder that holds every user's maildir, as an absolute path; all live POP3 "
        "instances must be able to use it (PEEP `m=`).",
        examples=["/var/mail/peep"],
    ),
]


_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

LARGEST_SECONDS = 20_000_000_000
"""Since the epoch, as of the year 2603; what is more would be meant as milliseconds."""


def _of_seconds(text: object) -> object:
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return text
    if not 0 <= float(text) <= LARGEST_SECONDS:
        raise ValueError(f"seconds since the epoch are 0 to {LARGEST_SECONDS:,}")
    return time_of(float(text))


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_of_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "minimum": 0, "maximum": LARGEST_SECONDS},
            ]
        }
    ),
]
"""RFC 3339, or seconds since the epoch; of a query."""

AdministratorText = Annotated[str, AfterValidator(encodable)]
"""A name or password of an administrator, as typed: any mistake in it is a wrong password."""


class Settings(BaseModel):
    """What operators change while the server runs."""

    model_config = ConfigDict(from_attributes=True)

    max_connections: MaxConnections
    timeout_seconds: TimeoutSeconds
    mail_directory: str = Field(
        description="The folder that holds every user's maildir.", examples=["/var/mail/peep"]
    )


class SettingsChange(BaseModel):
    """The settings to change: at least one; the others stay as they are."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    # The defaults only say that a field may be missing; `given` never returns them.
    max_connections: MaxConnections = Field(default_factory=int)
    timeout_seconds: TimeoutSeconds = Field(default_factory=int)
    mail_directory: MailDirectory = Field(default_factory=str)

    @model_validator(mode="after")
    def _something_to_change(self) -> "SettingsChange":
        if not self.model_fields_set:
            raise ValueError("must hold at least one of max_connections, timeout_seconds, mail_directory")
        return self

    def given(self) -> dict[str, Any]:
        """Return the settings that the request holds, by name."""
        return self.model_dump(exclude_unset=True)


class Counters(BaseModel):
    """Every PEEP counter and gauge at one moment."""

    model_config = ConfigDict(from_attributes=True)

    retrieved_bytes: int = Field(
        description="Octets of replies to POP3 commands (PEEP `rb?`).", examples=[5120]
    )
    retrieved_emails: int = Field(description="Successful RETR commands (PEEP `re?`).", examples=[3])
    removed_emails: int = Field(
        description="Messages removed in the UPDATE state (PEEP `xe?`).", examples=[0]
    )
    current_connections: int = Field(
        description="Open POP3 connections, logged in or not (PEEP `cc?`).", examples=[2]
    )
    logged_in_users: int = Field(
        description="Users with an open session (the number of lines of PEEP `cu?`).", examples=[1]
    )
    historical_connections: int = Field(
        description="POP3 connections accepted so far (PEEP `hc?`).", examples=[7]
    )
    historical_logins: int = Field(description="Successful POP3 logins so far (PEEP `hu?`).", examples=[4])


class Overview(Counters):
    """What the dashboard's overview shows, all of one moment."""

    at: datetime = Field(description="When it was read (RFC 3339, UTC).")
    max_connections: int = Field(description="The connection limit.", examples=[1000])
    users: list[str] = Field(
        description="Names of logged-in users, at most 60: the first in their order; where over a thousand "
        "are logged in, any of them.",
        examples=[["alice"]],
    )


class MessageProgress(BaseModel):
    """How far a message of more than some 100 kB is sent."""

    octets: int = Field(description="Of the whole message.", examples=[48_000_000])
    sent: int = Field(description="Of these.", examples=[12_000_000])


class Session(BaseModel):
    """One open POP3 connection."""

    id: str = Field(description="As the POP3 greeting and the logs show it.", examples=["bb43ba24-17"])
    instance: str = Field(description="The POP3 process that serves it.", examples=["bb43ba24"])
    username: str | None = Field(description="Null until the client has logged in.", examples=["alice"])
    address: str = Field(description="The client's address.", examples=["192.0.2.7"])
    tls: str | None = Field(description="The version of TLS; null in the clear.", examples=["TLSv1.3"])
    connected_at: datetime = Field(description="When it was accepted (RFC 3339, UTC).")
    seconds: float = Field(description="For how long it has been open.", examples=[12.5])
    octets: int = Field(description="Of replies to its commands, so far.", examples=[5120])
    retrieved: int = Field(description="Messages sent whole, so far.", examples=[3])
    marked: int = Field(description="Messages that are marked as deleted now.", examples=[0])
    idle_seconds: float | None = Field(
        description="Since it has last sent or taken something; null: its POP3 process is of an earlier "
        "version, which does not say.",
        examples=[3.1],
    )
    message: MessageProgress | None = Field(
        description="The message that it fetches just now; null: none, or a small one.",
        examples=[{"octets": 48_000_000, "sent": 12_000_000}],
    )


class Sessions(BaseModel):
    """All open POP3 connections, the oldest first."""

    sessions: list[Session]


class ClosedSessions(BaseModel):
    """What became of the sessions that were to be closed."""

    closed: int = Field(examples=[12])
    unclosed: list[str] = Field(
        description="Ids of those that are not closed yet: their process may be removing mail.",
        examples=[["bb43ba24-17"]],
    )
    left: int = Field(description="More that are meant: the next request closes them.", examples=[0])


class LoggedInUsers(BaseModel):
    """Who has an open session."""

    users: list[str] = Field(
        description="Sorted, each once however many sessions it has (PEEP `cu?`).", examples=[["alice"]]
    )


class SlowDown(BaseModel):
    """An allowance of wrong passwords that was used up, and is not whole again."""

    id: str = Field(description="By which it is lifted.", examples=["5f0c9e1b7a42"])
    network: str | None = Field(
        description="An IPv4 address or an IPv6 /64; null: all from which the user has not logged in lately.",
        examples=["203.0.113.9"],
    )
    username: str | None = Field(
        description="As clients have sent it; null: everybody who has not logged in from there lately.",
        examples=["alice"],
    )
    is_administrator: bool = Field(
        description="Whether `username` is of PEEP and HTTP, not of POP3.", examples=[False]
    )
    since: datetime = Field(description="When the first had to wait (RFC 3339, UTC).")
    attempts: int = Field(description="How many have had to wait since.", examples=[112])
    until: datetime = Field(description="When the allowance is whole again, if nobody tries until then.")


class SlowDowns(BaseModel):
    """Who is slowed down for wrong passwords now, the oldest first."""

    slow_downs: list[SlowDown]


class Move(BaseModel):
    """A user's mail that comes from the old server, and is not all here yet."""

    username: str = Field(examples=["alice"])
    state: Literal["moving", "interrupted", "failed"] = Field(
        description="`interrupted` if the process is gone that fetched it. The user's next login goes on "
        "with a move that is interrupted or failed.",
        examples=["moving"],
    )
    messages_here: int = Field(examples=[412])
    messages: int = Field(description="On the old server; 0: it has not listed them yet.", examples=[1532])
    at: datetime = Field(description="When this was last written down (RFC 3339, UTC).")
    reason: str | None = Field(
        description="Why it has failed.", examples=["the old server: it has closed the connection"]
    )


class Moves(BaseModel):
    """How many users have come from the old server, and whose mail is not all here yet."""

    source: str | None = Field(
        description="The old server (`PEEP_MOVE_FROM`); null: there has been none.",
        examples=["old.example.org:995"],
    )
    moved: int = Field(description="Users whose mail is all here.", examples=[180])
    moves: list[Move] = Field(description="The others who have given a right password, sorted by name.")


class Instance(BaseModel):
    """One POP3 process that serves connections."""

    id: str = Field(description="Made anew at each start.", examples=["bb43ba24"])
    host: str = Field(description="The name of its machine or container.", examples=["mail-1"])
    process_id: int = Field(description="On its host.", examples=[4711])
    worker: int = Field(description="Its number among the processes of its service.", examples=[1])
    version: str = Field(description="Of Peep.", examples=["0.1.0"])
    started_at: datetime = Field(description="RFC 3339, UTC.")
    lease_seconds: float = Field(
        description="For how long it still counts as alive, unless it says so again.", examples=[12.3]
    )
    connections: int = Field(description="Open connections.", examples=[17])
    reserved: int = Field(
        description="Its share of the connection limit, open connections among them.", examples=[32]
    )
    load: float = Field(description="Seconds of processor time a second, of late.", examples=[0.25])
    certificate_expires_at: datetime | None = Field(
        description="Of the certificate that it serves, RFC 3339, UTC; null where it has none.",
        examples=["2027-03-01T12:00:00Z"],
    )


class Instances(BaseModel):
    """All live POP3 processes, the oldest first."""

    instances: list[Instance]


class Version(BaseModel):
    """Which Peep this is."""

    version: str = Field(examples=["0.1.0"])


class NamedPassword(BaseModel):
    """An administrator's name and password, from the dashboard's form."""

    model_config = ConfigDict(extra="forbid")

    name: AdministratorText
    password: AdministratorText = Field(repr=False)


class SignedIn(BaseModel):
    """Who is signed in on the dashboard."""

    administrator: str
    role: str = Field(description="What he may do: `read`, `helpdesk` or `all`.")
    csrf_token: str = Field(description="Send it as X-CSRF-Token with every change.")


class Health(BaseModel):
    """How the service is."""

    status: str = Field(examples=["ready"])


class Readiness(Health):
    """How the service is, and the Redis behind it."""

    warnings: list[str] = Field(description="What is dangerous about that Redis, a line each.")


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    message: str = Field(description="What is allowed there.")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(
        description="Where the kind of error is explained, or `about:blank`.", examples=["/docs#unknown-user"]
    )
    title: str
    status: int
    detail: str
    request_id: str | None = Field(None, description="As in the X-Request-ID header and the logs.")
    errors: list[FieldError] | None = Field(None, description="With status 422: the fields that failed.")
    role: str | None = Field(None, description="With `role-needed`: the role that the request needs.")
