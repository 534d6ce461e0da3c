"""The values that services and store exchange."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from state_store.vitals import Vitals

MAX_CONNECTIONS_RANGE = range(1, 1_000_001)
"""What `c=` takes (P8)."""

TIMEOUT_SECONDS_RANGE = range(0, 86_401)
"""What `t=` takes, in seconds; 0 means no timeout (P8)."""


LEASE_SECONDS = 15.0
"""How long an instance that reports nothing still holds its connections, sessions and locks."""

RENEWAL_SECONDS = 5.0
"""An instance with nothing to report renews its lease at least this often."""

FRONT_END_SECONDS = 60.0
"""How long the administrators in a front end's settings remain after that process was last heard of."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What operators change while the server runs; `version` grows with every change."""

    max_connections: int = 1000
    timeout_seconds: int = 600
    mail_directory: str = ""
    version: int = 0
    refusals_version: int = 0
    """Grows with every change of what is refused (`refusals`)."""

    @property
    def obeyed_version(self) -> int:
        """What an instance reports once it applies all of it: one number in each exchange."""
        return self.version + self.refusals_version


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
    """What one instance has counted since it last reported its counts to the store."""

    retrieved_bytes: int = 0
    retrieved_emails: int = 0
    removed_emails: int = 0
    connections: int = 0
    logins: int = 0
    latencies: dict[str, int] = field(default_factory=dict)
    """Durations of commands and logins, refused logins, damages, as the fields that `latency` defines."""
    user_notes: str = ""
    """Notes of users, as `UserNotes.take` returns them."""

    def __bool__(self) -> bool:
        return self != Deltas()

    def add(self, other: "Deltas") -> None:
        """Add another's counts to these; its notes are the older ones."""
        newer, self.user_notes = self.user_notes, other.user_notes
        self.add_notes(newer)
        self.retrieved_bytes += other.retrieved_bytes
        self.retrieved_emails += other.retrieved_emails
        self.removed_emails += other.removed_emails
        self.connections += other.connections
        self.logins += other.logins
        for name, count in other.latencies.items():
            self.latencies[name] = self.latencies.get(name, 0) + count

    def add_notes(self, newer: str) -> None:
        """Add notes of users to those that are there already."""
        self.user_notes = "\n".join(filter(None, (self.user_notes, newer)))


OWN_SCHEME = "ARGON2ID"
"""The scheme of our own hashes, as Dovecot names it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """How a user's password is checked, with a version that changes with every password.

    While the user `is_suspended` no maildrop is locked for a password of this version.

    `password_hash` is argon2id's, or was imported (`hashes.imported`) and is replaced at the first login.
    `scram_verifier` is empty with most imported hashes, and where the password was set by a version that knew
    none; SCRAM is then refused until such a login, or until the password is set again.
    """

    password_hash: str = field(repr=False)
    version: str
    scram_verifier: str = field(default="", repr=False)
    is_suspended: bool = False

    @property
    def scheme(self) -> str:
        """The scheme of the password's hash, as Dovecot names it: `ARGON2ID` for those of our own."""
        braced, _, _ = self.password_hash.partition("}")
        return braced[1:].partition(",")[0] if braced.startswith("{") else OWN_SCHEME


class Added(Enum):
    """The outcome of adding a user."""

    ADDED = "added"
    UPDATED = "updated"
    """The user was there, and has the new password."""
    EXISTS = "exists"
    """The user was there, and was left as it is."""


@dataclass(frozen=True, slots=True)
class HashCounts:
    """How many users have which kind of password hash."""

    users: int = 0
    imported: Mapping[str, int] = field(default_factory=dict)
    """By kind: scheme and cost, for example `SHA512-CRYPT,8192`. All other users have hashes of our own."""

    @property
    def by_scheme(self) -> dict[str, int]:
        """The imported ones by scheme, sorted."""
        counts: dict[str, int] = {}
        for kind, count in sorted(self.imported.items()):
            scheme = kind.partition(",")[0]
            counts[scheme] = counts.get(scheme, 0) + count
        return counts


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
    """Octets of replies to its commands, so far."""
    retrieved: int = 0
    """Messages sent whole, so far."""
    marked: int = 0
    """Messages that are marked as deleted now."""
    active_at: float = 0.0
    """When it last sent or received something, in seconds since the epoch, at most a second too early; 0
    from a process of an earlier version."""
    message_octets: int = 0
    """Octets of the message that is being sent; 0: none is."""
    message_sent: int = 0
    """How many of these octets have been sent."""


class Naming(Enum):
    """In which way a front end names administrators."""

    START = "start"
    """Add the named ones, and replace their hashes."""
    AGAIN = "again"
    """Add the missing ones; leave the hashes of the others."""
    KEEP = "keep"
    """Add and remove none: this front end's settings name no administrators, and it keeps the first one."""
    FIRST = "first"
    """As `KEEP`, and add, if nobody may do everything yet. A repetition with the same hash has the same
    answer."""


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
    """How it finds a user's maildir; the same for all live instances."""
    knows_refusals: int = 1
    """0 for a process of an earlier version, which lets in suspended users and banned networks."""


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """A live instance at one moment."""

    instance: Instance
    lease_seconds: float
    """How long its lease holds unless it is renewed."""
    open_connections: int
    reserved_connections: int
    """Slots of the connection limit that it holds, those of open connections included."""
    load: float
    """Seconds of processor time per second, of late."""
    vitals: Vitals | None = None
    """Its last report of its own health; None before the first. Older versions make none."""
    clock_ahead: float = 0.0
    """By how many seconds its machine's clock was ahead of the store's then; below 0 when it is behind."""

    @property
    def certificate_expires_at(self) -> float:
        """In seconds since the epoch; 0 without a certificate."""
        return self.vitals.certificate_expires_at if self.vitals else 0.0


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram of durations."""

    bounds: tuple[float, ...]
    """Upper bounds of the buckets, in seconds."""
    counts: tuple[int, ...]
    """One for each bucket and one for what was slower; not cumulative."""
    seconds: float
    """The sum of all durations."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Durations in POP3 since the store was created, over all instances."""

    command: Histogram
    """From a command's line until the system has taken its whole reply; waits for slow clients included."""
    login: Histogram
    """From PASS or the last line of AUTH to its reply, wrong passwords included."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """The number of refused POP3 logins, by reason (`attempts.RefusalReason`)."""
    damaged_unique_ids: int = 0
    """The number of logins to maildirs with a damaged `peep-unique-ids`."""


class LoginOutcome(Enum):
    """The store's answer to a login whose password the instance has checked."""

    OPENED = "opened"
    """This instance has the maildrop lock."""
    IN_USE = "in use"
    """Another live session holds the maildrop, or the maildir under another name."""
    CREDENTIAL_CHANGED = "credential changed"
    """The user was removed, or has another password than the one that was checked."""
    CHECK_NEEDED = "check needed"
    """This user has not logged in from this network lately: the password counts as an attempt (P18)."""
    TOO_SOON = "too soon"
    """The user's last login is less than the login delay ago (RFC 2449, section 6.5)."""


class AdmissionOutcome(Enum):
    """The store's answer to a connection; true when it is admitted."""

    ADMITTED = "admitted"
    """It has a slot, and its place among the connections of its address."""
    LIMIT_REACHED = "limit reached"
    """All slots of the limit `c=` are taken (P8)."""
    ADDRESS_LIMIT_REACHED = "address limit reached"
    """Its address has as many connections as one address may have."""

    def __bool__(self) -> bool:
        return self is AdmissionOutcome.ADMITTED


class Login(NamedTuple):
    """A request to lock `username`'s maildrop for a session, on a password of this credential version.

    `maildir` is a name that is equal for all users whose maildrop is the same maildir: it is locked too.
    While it is not known yet it is empty, and the same session requests the lock once more, with it.
    """

    username: str
    session_id: str
    credential_version: str
    address: str
    is_remembered: bool = False
    """Whether the password was recognised from memory, without an attempt (P18)."""
    maildir: str = ""


@dataclass(frozen=True, slots=True)
class AddressCount:
    """The connections of one client address at one instance: open, and waiting to come in."""

    address: str
    open_connections: int
    waiting_connections: int


@dataclass(slots=True)
class Exchange:
    """All that one instance reports and requests in one round trip to the store (group commit).

    After a lost answer all of it is reported again in a new exchange: counts carry `counts_sequence`, and
    everything else describes a state, not a change. An exchange is carried out once: a copy that arrives late
    describes a past state, and the store refuses it by its `exchange_number`.
    """

    instance_id: str
    counts_sequence: int
    deltas: Deltas = field(default_factory=Deltas)
    open_connections: int = 0
    claimed_connections: int = 0
    """Slots that it may fill while this exchange is under way; at least those of open connections."""
    waiting_connections: int = 0
    settings_version: int = 0
    releases: list[tuple[str, str]] = field(default_factory=list)
    """Maildrop locks to give back: (username, session id)."""
    session_rows: list[SessionRow] = field(default_factory=list)
    closed_sessions: list[str] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    withdrawn_logins: list[tuple[str, str]] = field(default_factory=list)
    """Logins that failed after their lock: (username, session id). Lock and login delay are taken back."""
    login_delay_seconds: int = 0
    """How long after a login its user cannot log in again; 0: no delay."""
    address_limit: int = 0
    """How many connections one client address may have over all instances; 0: no limit."""
    addresses: list[AddressCount] = field(default_factory=list)
    """Each address with waiting connections or a changed count; none without a limit."""
    exchange_number: int = 0
    """Grows with every exchange; counts that are reported again keep their `counts_sequence`."""
    load: float = 0.0
    """Seconds of processor time per second, of late."""
    confirmed_number: int = 0
    """The number of the last exchange that was answered. A store that does not know it has lost data."""


@dataclass(frozen=True, slots=True)
class ExchangeResult:
    """The store's answer to an exchange: slots, an outcome for each login, a figure for each address."""

    reserved_connections: int
    should_shrink: bool
    max_connections: int
    spare_elsewhere: bool
    """Other instances hold unused slots, and have been asked to give them back."""
    settings_version: int
    logins: list[LoginOutcome]
    addresses: list[int] = field(default_factory=list)
    """How many connections it may have open from each of `Exchange.addresses`, in order."""


class NotificationKind(Enum):
    """The kinds of notifications."""

    SETTINGS_CHANGED = "settings"
    SLOTS_WANTED = "slots"
    DIRECTORY_PROPOSED = "directory"
    SESSION_TO_CLOSE = "close"
    DISCONNECTED = "disconnected"
    """The subscription was cut: the store may be away."""
    RECONNECTED = "reconnected"
    """The subscription works, for the first time or again: notifications may have been missed."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message of the store's channel to the instances."""

    kind: NotificationKind
    identifier: str = ""
    """The proposal's with DIRECTORY_PROPOSED, the session's with SESSION_TO_CLOSE."""
    path: str = ""
    """With DIRECTORY_PROPOSED."""
