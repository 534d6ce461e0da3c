"""The values that travel between the services and the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

MAX_CONNECTIONS_RANGE = range(1, 1_000_001)
"""What `c=` takes (P8)."""

TIMEOUT_SECONDS_RANGE = range(0, 86_401)
"""What `t=` takes, in seconds; 0 means no timeout (P8)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What operators change while the server runs; `version` grows with every change."""

    max_connections: int = 1000
    timeout_seconds: int = 600
    mail_directory: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Counters:
    """Every PEEP counter and gauge at one moment (PEEP section 4, P14).

    `retrieved_bytes` are octets of replies to POP3 commands; `current_connections` and
    `logged_in_users` are gauges over all live instances; the rest only ever grows.
    """

    retrieved_bytes: int = 0
    retrieved_emails: int = 0
    removed_emails: int = 0
    current_connections: int = 0
    logged_in_users: int = 0
    historical_connections: int = 0
    historical_logins: int = 0


@dataclass(slots=True)
class Deltas:
    """What one instance has counted since it last told the store."""

    retrieved_bytes: int = 0
    retrieved_emails: int = 0
    removed_emails: int = 0
    connections: int = 0
    logins: int = 0
    latencies: dict[str, int] = field(default_factory=dict)
    """What `latency` makes of how long commands and logins took, and of passwords that were refused."""

    def __bool__(self) -> bool:
        return bool(
            self.retrieved_bytes
            or self.connections
            or self.logins
            or self.retrieved_emails
            or self.removed_emails
            or self.latencies
        )

    def add(self, other: "Deltas") -> None:
        """Add another's counts to these."""
        self.retrieved_bytes += other.retrieved_bytes
        self.retrieved_emails += other.retrieved_emails
        self.removed_emails += other.removed_emails
        self.connections += other.connections
        self.logins += other.logins
        for name, count in other.latencies.items():
            self.latencies[name] = self.latencies.get(name, 0) + count


@dataclass(frozen=True, slots=True)
class Credential:
    """How a user's password is checked, with a version that changes with every password.

    `password_hash` is argon2id's; `scram_verifier` is empty where the password was set before there
    was one, and then SCRAM is refused until the password is set again.
    """

    password_hash: str = field(repr=False)
    version: str
    scram_verifier: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One open POP3 connection; `username` is None until it has logged in."""

    session_id: str
    instance_id: str
    username: str | None
    address: str
    connected_at: float
    """Seconds since the epoch."""
    tls: str = ""
    """The version of TLS, for example `TLSv1.3`; empty in the clear."""
    octets: int = 0
    """Of replies to its commands, so far."""
    retrieved: int = 0
    """Messages sent whole, so far."""
    marked: int = 0
    """Messages that are marked as deleted now."""


class Word(Enum):
    """In which way a front end names administrators."""

    START = "start"
    AGAIN = "again"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Instance:
    """One POP3 process that serves connections under a lease."""

    instance_id: str
    host: str
    process_id: int
    version: str
    started_at: float
    """Seconds since the epoch."""
    worker: int = 1
    """Its number among the processes of one service."""
    layout: str = ""
    """How it finds a user's maildir: equal for all that live at a time."""


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """A live instance at one moment."""

    instance: Instance
    lease_seconds: float
    """For how long its lease still holds, unless it is renewed."""
    open_connections: int
    reserved_connections: int
    """Slots of the connection limit that it holds, open ones among them."""
    load: float
    """Seconds of processor time a second, of late."""
    certificate_expires_at: float = 0.0
    """Of the certificate that it serves, in seconds since the epoch; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many took how long: `counts` has one figure for each bucket, and one for what was slower."""

    bounds: tuple[float, ...]
    """Upper bounds of the buckets, in seconds."""
    counts: tuple[int, ...]
    """Not cumulative; one more than there are bounds."""
    seconds: float
    """Of all together."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long POP3 took, since ever, over all instances."""

    command: Histogram
    """From a command's line to its whole reply being given to the system, a slow reader waited for."""
    login: Histogram
    """From PASS or the last line of AUTH to its reply, wrong passwords included."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """How many POP3 passwords were refused, by reason (`attempts.RefusalReason`)."""


class ActivityKind(Enum):
    """What the store remembers the last of, for those who watch."""

    LOGIN = "login"
    """Details: `username`, `session`, `instance`, `address`."""
    LOGOUT = "logout"
    """A maildrop is free again, whatever the reason. Details: `username`, `session`, `instance`."""
    SETTING = "setting"
    """Details: `name`, a field of `Settings`, and `value`."""
    REFUSED = "refused"
    """Wrong passwords. Details: `username` of the last one, empty for an administrator's, `network`,
    `reason`, and `count`, how many there have been from this network since the last such event."""
    SLOWED = "slowed"
    """Guesses have begun to be slowed. Details: `username`, empty for everybody whom `network` has not known
    lately, and `network`, empty for all that the user has not used lately."""


ACTIVITY_LENGTH = 1000
"""So many activities are remembered at least."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that has happened; ids grow, and are compared by `repository.activity_after` only."""

    activity_id: str
    kind: ActivityKind
    at: float
    """Seconds since the epoch, by the store's clock."""
    details: dict[str, str]


class LoginOutcome(Enum):
    """What the store says to a login whose password the instance has checked."""

    OPENED = "opened"
    """The maildrop lock is ours."""
    IN_USE = "in use"
    """Another live session holds the maildrop, or the maildir under another name."""
    CREDENTIAL_CHANGED = "credential changed"
    """The user is gone or has another password than the one that was checked."""
    CHECK_NEEDED = "check needed"
    """This user has not logged in from this network lately: the password is one more attempt (P18)."""
    TOO_SOON = "too soon"
    """The user's last login is less than the login delay ago (RFC 2449, section 6.5)."""


class AdmissionOutcome(Enum):
    """What the store says to a connection that asks to come in; true when it may."""

    ADMITTED = "admitted"
    """It has a slot, and its place among the connections of its address."""
    LIMIT_REACHED = "limit reached"
    """All slots of the limit `c=` are taken (P8)."""
    ADDRESS_LIMIT_REACHED = "address limit reached"
    """Its address has as many connections as one address may have."""

    def __bool__(self) -> bool:
        return self is AdmissionOutcome.ADMITTED


class Login(NamedTuple):
    """A wish to lock `username`'s maildrop for a session, on a password of this credential version.

    `maildir` is a name that all users have in common whose maildrop is the same maildir: it is locked too.
    Where it is not known yet (empty) the same session asks once more, with it.
    """

    username: str
    session_id: str
    credential_version: str
    address: str
    is_remembered: bool = False
    """Whether the password is only remembered as right, and was no attempt that was allowed (P18)."""
    maildir: str = ""


@dataclass(frozen=True, slots=True)
class AddressCount:
    """The connections of one client address at one instance: open, and waiting to come in."""

    address: str
    open_connections: int
    waiting_connections: int


@dataclass(slots=True)
class Exchange:
    """All that one instance tells and asks the store in one round trip (group commit).

    What it tells may be told again after a lost answer, in a new exchange: counts carry the sequence
    number, everything else says how things are, not how they change. The exchange itself is carried
    out once: a copy that comes late says how things were, and the store refuses it by its `exchange_number`.
    """

    instance_id: str
    counts_sequence: int
    deltas: Deltas = field(default_factory=Deltas)
    open_connections: int = 0
    claimed_connections: int = 0
    """Slots that it may fill without asking while this exchange is under way; at least the open ones."""
    waiting_connections: int = 0
    settings_version: int = 0
    releases: list[tuple[str, str]] = field(default_factory=list)
    """Maildrop locks given back: (username, session id)."""
    session_rows: list[SessionRow] = field(default_factory=list)
    closed_sessions: list[str] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    withdrawn_logins: list[tuple[str, str]] = field(default_factory=list)
    """Logins that came to nothing: (username, session id). Lock and login delay are taken back."""
    login_delay_seconds: int = 0
    """How long after a login its user can not log in again; 0: at once."""
    address_limit: int = 0
    """How many connections one client address may have over all instances; 0: any number."""
    addresses: list[AddressCount] = field(default_factory=list)
    """Each address that waits, or whose count has changed; without a limit none."""
    exchange_number: int = 0
    """Grows with every exchange, while counts that are told again keep their sequence number."""
    load: float = 0.0
    """Seconds of processor time that the instance takes a second, of late."""
    confirmed_number: int = 0
    """That of the last exchange that was answered: a store that does not know it has lost what it took."""


@dataclass(frozen=True, slots=True)
class ExchangeResult:
    """The store's answer: slots that the instance may fill, one outcome a login, one figure an address."""

    reserved_connections: int
    should_shrink: bool
    max_connections: int
    spare_elsewhere: bool
    """Other instances hold slots that nobody uses: they have been asked to give them back."""
    settings_version: int
    logins: list[LoginOutcome]
    addresses: list[int] = field(default_factory=list)
    """How many connections it may have open from each address that it told, in order."""


class NotificationKind(Enum):
    """What instances are told by the store's channel."""

    SETTINGS_CHANGED = "settings"
    SLOTS_WANTED = "slots"
    DIRECTORY_PROPOSED = "directory"
    SESSION_TO_CLOSE = "close"
    DISCONNECTED = "disconnected"
    """The subscription was cut: the store may be away."""
    RECONNECTED = "reconnected"
    """The subscription was interrupted: anything may have been missed."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message of the store's channel."""

    kind: NotificationKind
    identifier: str = ""
    """The proposal's with DIRECTORY_PROPOSED, the session's with SESSION_TO_CLOSE."""
    path: str = ""
    """With DIRECTORY_PROPOSED."""
