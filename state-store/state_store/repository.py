"""The state of Peep in the words of its services: settings, users, administrators, counters, instances.

`StateRepository` is what the services use; `redis.repository` keeps it in Redis. Every method may raise
`StoreUnavailable`; its docstring names the other errors.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Protocol

from state_store.credentials.attempts import Attempt, Decision, Outcome, RefusalReason, SlowDown
from state_store.records import (
    ACTIVITY_LENGTH,
    Activity,
    Counters,
    Credential,
    Exchange,
    ExchangeResult,
    Instance,
    InstanceStatus,
    Latencies,
    Notification,
    SessionRow,
    Settings,
    Word,
)

LEASE_SECONDS = 15.0
"""How long an instance that says nothing still holds its connections, sessions and locks."""

RENEWAL_SECONDS = 5.0
"""How often an instance with nothing to tell renews its lease at least."""


FRONT_END_SECONDS = 60.0
"""How long a front end that is not seen any more still keeps the administrators that its settings name."""


class SettingsRepository(Protocol):
    """What operators set."""

    async def settings(self) -> Settings:
        """Return the settings in force."""

    async def change_settings(
        self,
        *,
        max_connections: int | None = None,
        timeout_seconds: int | None = None,
        mail_directory: str | None = None,
        if_version: int | None = None,
    ) -> Settings:
        """Set what is given, all of it or nothing, and return the settings once live instances obey them.

        A mail directory is set only when every live POP3 instance has agreed (P12): raises
        `MailDirectoryRefused` when one cannot use it or none is there to ask. Raises `SettingsChanged`
        when the settings are not those of version `if_version` any more.
        """

    async def announce_mail_directory(self, path: str, *, overrides: bool) -> str:
        """Say which directory holds until one is first set, and return the one in force.

        The word of a POP3 instance `overrides` an earlier one where no instance is live; a front end's never.
        """


class UserRepository(Protocol):
    """POP3 users and their passwords; names are case-sensitive and their order is that of their octets."""

    async def usernames(self) -> list[str]:
        """Return the names of all users, sorted; one that is added or removed meanwhile may be among them."""

    async def usernames_after(self, after: str, limit: int, prefix: str = "") -> list[str]:
        """Return at most `limit` names, sorted, that begin with `prefix` and come after `after`."""

    async def credential(self, username: str) -> Credential | None:
        """Return how the user's password is checked, or None for an unknown user."""

    async def add_user(self, username: str, credential: Credential) -> None:
        """Add a user. Raises `UserExists`; adding the same credential again (a retry) succeeds."""

    async def remove_user(self, username: str) -> None:
        """Remove a user; open sessions go on. Raises `UnknownUser`."""

    async def set_credential(self, username: str, credential: Credential) -> None:
        """Give a user a new password. Raises `UnknownUser`."""

    async def deployment_secret(self) -> str:
        """Return a random text that was made once, and is the same for all replicas and at all times.

        What an unknown user is answered is derived from it (see `scram`).
        """


class AdministratorRepository(Protocol):
    """Who may use PEEP and HTTP: password hashes by name."""

    async def administrators(self) -> dict[str, str]:
        """Return the argon2id hash of every administrator by name."""

    async def replace_administrators(
        self, hashes: Mapping[str, str], front_end: str = "", word: Word = Word.START
    ) -> None:
        """Make these the administrators that a front end's settings name.

        Whom no front end names that was seen within `FRONT_END_SECONDS` is an administrator no longer, unless
        this one only keeps its own. Only a start gives those a new hash who have one.
        """

    async def leave(self, front_end: str) -> None:
        """Say that a front end ends. Its administrators stay until the next one names others."""

    async def add_first_administrator(self, name: str, password_hash: str) -> bool:
        """Add an administrator if there is none yet; return whether this call did it."""

    async def end_sign_in(self, sign_in_id: str, seconds: int) -> None:
        """Remember for so many seconds that this sign-in on the dashboard is over."""

    async def is_ended_sign_in(self, sign_in_id: str) -> bool:
        """Return whether `end_sign_in` was called for it."""


class AttemptRepository(Protocol):
    """Wrong passwords by network and user, over all replicas and front ends (P18)."""

    async def recognise(self, subject: str, network: str) -> bool:
        """Return whether `subject` (see `attempts.subject`) has logged in from this network lately."""

    async def begin_attempt(
        self,
        attempt: Attempt,
        *,
        ahead: Collection[str] = (),
        is_first: bool = True,
        as_unknown: bool = False,
    ) -> Decision:
        """Ask whether a password may be checked now; one that may is to be ended with `end_attempt`.

        Nothing is taken from the allowances in `ahead`, for which others wait. An attempt that asks again is
        not `is_first`. With `as_unknown` it draws on what unknown pairs have, known or not.
        """

    async def end_attempt(
        self, attempt: Attempt, decision: Decision, outcome: Outcome, reason: RefusalReason | None = None
    ) -> None:
        """Say what came of it: what was right or could not be checked costs nothing.

        A right one makes the pair of user and network a known one.
        """

    async def slow_downs(self) -> list[SlowDown]:
        """Return the allowances that were used up and are not whole again, the oldest first."""

    async def lift_slow_down(self, slow_down_id: str) -> None:
        """Make an allowance whole now. Raises `UnknownSlowDown`."""


class MonitoringRepository(Protocol):
    """What operators watch."""

    async def ping(self) -> None:
        """Return when the store answers."""

    async def warnings(self) -> list[str]:
        """Return what is dangerous about the store as it is set up, a line each."""

    async def counters(self) -> Counters:
        """Return all counters and gauges."""

    async def logged_in_users(self) -> list[str]:
        """Return the names of users with an open session, sorted, each once (P13)."""

    async def sessions(self) -> list[SessionRow]:
        """Return the open connections of all live instances, the oldest first."""

    async def close_session(self, session_id: str) -> None:
        """Have a POP3 session closed without UPDATE, and return once it is.

        Raises `UnknownSession`. A session that is removing mail ends only after that.
        """

    async def instances(self) -> list[InstanceStatus]:
        """Return the live POP3 instances, the oldest first."""

    async def latencies(self) -> Latencies:
        """Return how long commands and logins have taken over all instances, up to a few seconds ago."""

    async def last_activity_id(self) -> str:
        """Return the id of the newest activity; there need not be one yet."""

    async def activity_after(
        self, activity_id: str, limit: int = ACTIVITY_LENGTH
    ) -> tuple[list[Activity], bool]:
        """Return at most `limit` activities after this one, the oldest first, and whether any are missing.

        The last `ACTIVITY_LENGTH` at least are remembered. After an id that this store cannot have given
        out, they come from the first one that it remembers.
        """


class InstanceRepository(Protocol):
    """The POP3 processes' side: leases, group commit, the channel of changes."""

    async def register_instance(self, instance: Instance) -> None:
        """Begin a lease of `LEASE_SECONDS` for a new instance id.

        Raises `LayoutDiffers` when a live instance has another layout of maildirs: two layouts may lead to
        one maildir for two users.
        """

    async def exchange(self, exchange: Exchange, *, reap: bool = False) -> ExchangeResult:
        """Tell and ask everything at once, and renew the lease; with `reap`, clear up after the dead.

        Raises `LeaseLapsed` when the lease was over, or the store has lost an exchange that it had
        answered (a failover); counts of a sequence number that the store has
        already taken are not taken again, lapsed or not. An exchange whose number is not higher
        than the last one's (it came late, or twice) changes nothing and raises `StoreUnavailable`.
        """

    async def note_certificate(self, instance_id: str, expires_at: float) -> None:
        """Say when the certificate that a live instance serves expires, in seconds since the epoch."""

    async def end_instance(self, instance_id: str) -> None:
        """Give up the lease and everything that hangs on it."""

    async def answer_proposal(self, proposal_id: str, instance_id: str, *, usable: bool) -> None:
        """Say whether this instance can use a proposed mail directory."""

    def notifications(self) -> AsyncIterator[Notification]:
        """Yield changes as they are published; reconnects by itself and says so (`RECONNECTED`)."""


class StateRepository(
    SettingsRepository,
    UserRepository,
    AdministratorRepository,
    AttemptRepository,
    MonitoringRepository,
    InstanceRepository,
    Protocol,
):
    """Everything that Peep keeps."""

    async def prepare(self) -> None:
        """Check that the store can serve us. Raises `StoreUnusable` where it never will."""

    async def attend(self) -> None:
        """Make sure that the store is that of the deployment that this process works for.

        Raises `StoreEmptied` when it is not; from then on everything does, until it is again, or is accepted.
        """

    async def accept(self) -> int:
        """Go on with a store that has lost its users; return how many deployments were missed in it."""

    async def close(self) -> None:
        """Close all connections to the store."""
