"""The in-memory twin of the Redis repository: the same behaviour within one process, for tests."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from state_store.credentials.attempts import Attempt, Decision, Outcome, RefusalReason, SlowDown, Verdict
from state_store.errors import (
    LayoutDiffers,
    LeaseLapsed,
    MailDirectoryRefused,
    SettingsChanged,
    StoreUnavailable,
    UnknownSession,
    UnknownSlowDown,
    UnknownUser,
    UserExists,
)
from state_store.latency import histogram, refused
from state_store.records import (
    ACTIVITY_LENGTH,
    Activity,
    ActivityKind,
    AddressCount,
    Counters,
    Credential,
    Deltas,
    Exchange,
    ExchangeResult,
    Instance,
    InstanceStatus,
    Latencies,
    Login,
    LoginOutcome,
    Notification,
    NotificationKind,
    SessionRow,
    Settings,
    Word,
)
from state_store.repository import LEASE_SECONDS
from state_store.slots import address_grant, grant

PROPOSAL_SECONDS = 2.0
CLOSING_SECONDS = 3.0


@dataclass
class _Lease:
    instance: Instance
    expires_at: float
    number: int = 0
    open_connections: int = 0
    reserved_connections: int = 0
    settings_version: int = 0
    load: float = 0.0
    certificate_expires_at: float = 0.0
    sessions: dict[str, SessionRow] = field(default_factory=dict)
    addresses: dict[str, int] = field(default_factory=dict)


class MemoryRepository:
    """Keeps the state in this object; `clock` gives seconds and may be replaced to make leases lapse."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._settings = Settings()
        self._announced_directory = ""
        self._users: dict[str, Credential] = {}
        self._secret = secrets.token_hex(32)
        self._administrators: dict[str, str] = {}
        self._named: dict[str, list[str]] = {}
        self._signed_out: dict[str, float] = {}
        self._slow_downs: dict[str, SlowDown] = {}
        self._counters = Counters()
        self._latencies: dict[str, int] = {}
        self._activity: list[Activity] = []
        self._activities = 0
        self._leases: dict[str, _Lease] = {}
        self._maildrops: dict[str, tuple[str, str]] = {}
        self._maildirs: dict[str, tuple[str, str]] = {}
        self._last_logins: dict[str, tuple[str, float]] = {}
        self._proposals: dict[str, dict[str, bool]] = {}
        self._channels: list[asyncio.Queue[Notification]] = []
        self._sequences: dict[str, int] = {}

    async def prepare(self) -> None:
        """Nothing to check here."""

    async def attend(self) -> None:
        """Nothing can be lost here."""

    async def accept(self) -> int:
        """Nothing can be missed here."""
        return 0

    async def close(self) -> None:
        """Nothing to close here."""

    async def ping(self) -> None:
        """Answer always."""

    async def warnings(self) -> list[str]:
        """Nothing is dangerous here."""
        return []

    # Settings

    async def settings(self) -> Settings:
        """See `SettingsRepository`."""
        return replace(
            self._settings, mail_directory=self._settings.mail_directory or self._announced_directory
        )

    async def change_settings(
        self,
        *,
        max_connections: int | None = None,
        timeout_seconds: int | None = None,
        mail_directory: str | None = None,
        if_version: int | None = None,
    ) -> Settings:
        """See `SettingsRepository`."""
        self._check_version(if_version)
        if mail_directory is not None:
            await self._propose(mail_directory)
            self._check_version(if_version)
        changes = {
            "max_connections": max_connections,
            "timeout_seconds": timeout_seconds,
            "mail_directory": mail_directory,
        }
        self._change(**{name: value for name, value in changes.items() if value is not None})
        return await self.settings()

    def _check_version(self, expected: int | None) -> None:
        if expected not in {None, self._settings.version}:
            raise SettingsChanged

    async def _propose(self, path: str) -> None:
        asked = {lease.instance.instance_id for lease in self._live()}
        proposal_id = f"proposal-{len(self._proposals)}"
        verdicts = self._proposals.setdefault(proposal_id, {})
        self._publish(Notification(NotificationKind.DIRECTORY_PROPOSED, proposal_id, path))
        end = self._clock() + PROPOSAL_SECONDS
        while asked - verdicts.keys() and self._clock() < end:
            await asyncio.sleep(0.01)
        if not asked or not all(verdicts.get(instance_id, False) for instance_id in asked):
            raise MailDirectoryRefused

    async def announce_mail_directory(self, path: str, *, overrides: bool) -> str:
        """See `SettingsRepository`."""
        if overrides and not self._live() and path != self._announced_directory:
            self._announced_directory = path
            self._change()
        elif not self._announced_directory:
            self._announced_directory = path
        return (await self.settings()).mail_directory

    # Users and administrators

    async def usernames(self) -> list[str]:
        """See `UserRepository`."""
        return sorted(self._users)

    async def usernames_after(self, after: str, limit: int, prefix: str = "") -> list[str]:
        """See `UserRepository`."""
        return [name for name in sorted(self._users) if name > after and name.startswith(prefix)][:limit]

    async def credential(self, username: str) -> Credential | None:
        """See `UserRepository`."""
        return self._users.get(username)

    async def add_user(self, username: str, credential: Credential) -> None:
        """See `UserRepository`."""
        if self._users.setdefault(username, credential) != credential:
            raise UserExists

    async def remove_user(self, username: str) -> None:
        """See `UserRepository`."""
        if self._users.pop(username, None) is None:
            raise UnknownUser

    async def set_credential(self, username: str, credential: Credential) -> None:
        """See `UserRepository`."""
        if username not in self._users:
            raise UnknownUser
        self._users[username] = credential

    async def deployment_secret(self) -> str:
        """See `UserRepository`."""
        return self._secret

    async def administrators(self) -> dict[str, str]:
        """See `AdministratorRepository`."""
        return dict(self._administrators)

    async def replace_administrators(
        self, hashes: Mapping[str, str], front_end: str = "", word: Word = Word.START
    ) -> None:
        """See `AdministratorRepository`."""
        self._named[front_end] = list(hashes)
        is_start = word is Word.START
        known = self._administrators | dict(hashes) if is_start else dict(hashes) | self._administrators
        names = {name for claim in self._named.values() for name in claim}
        kept = known if word is Word.KEEP else names
        self._administrators = {name: known[name] for name in known if name in kept}

    async def leave(self, front_end: str) -> None:
        """See `AdministratorRepository`."""
        self._named.pop(front_end, None)

    async def add_first_administrator(self, name: str, password_hash: str) -> bool:
        """See `AdministratorRepository`."""
        if self._administrators:
            return self._administrators.get(name) == password_hash
        self._administrators[name] = password_hash
        return True

    async def end_sign_in(self, sign_in_id: str, seconds: int) -> None:
        """See `AdministratorRepository`."""
        self._signed_out[sign_in_id] = self._clock() + seconds

    async def is_ended_sign_in(self, sign_in_id: str) -> bool:
        """See `AdministratorRepository`."""
        return self._clock() < self._signed_out.get(sign_in_id, float("-inf"))

    # Wrong passwords

    async def recognise(self, subject: str, network: str) -> bool:
        """Know everybody everywhere."""
        return True

    async def begin_attempt(
        self,
        attempt: Attempt,
        *,
        ahead: Collection[str] = (),
        is_first: bool = True,
        as_unknown: bool = False,
    ) -> Decision:
        """Slow nobody: the rule for wrong passwords is in the scripts of the store alone."""
        return Decision(Verdict.GO, from_network=True)

    async def end_attempt(
        self, attempt: Attempt, decision: Decision, outcome: Outcome, reason: RefusalReason | None = None
    ) -> None:
        """Take no note."""

    async def slow_downs(self) -> list[SlowDown]:
        """Return those that a test has put here."""
        return list(self._slow_downs.values())

    async def lift_slow_down(self, slow_down_id: str) -> None:
        """See `AttemptRepository`."""
        if self._slow_downs.pop(slow_down_id, None) is None:
            raise UnknownSlowDown

    # Monitoring

    async def counters(self) -> Counters:
        """See `MonitoringRepository`."""
        return replace(
            self._counters,
            current_connections=sum(lease.open_connections for lease in self._live()),
            logged_in_users=len(await self.logged_in_users()),
        )

    async def logged_in_users(self) -> list[str]:
        """See `MonitoringRepository`."""
        live = {lease.instance.instance_id for lease in self._live()}
        return sorted(name for name, (holder, _) in self._maildrops.items() if holder in live)

    async def sessions(self) -> list[SessionRow]:
        """See `MonitoringRepository`."""
        rows = [session for lease in self._live() for session in lease.sessions.values()]
        return sorted(rows, key=lambda session: (session.connected_at, session.session_id))

    async def close_session(self, session_id: str) -> None:
        """See `MonitoringRepository`."""
        if not self._is_open(session_id):
            raise UnknownSession
        self._publish(Notification(NotificationKind.SESSION_TO_CLOSE, session_id))
        end = self._clock() + CLOSING_SECONDS
        while self._is_open(session_id):
            if self._clock() > end:
                raise StoreUnavailable("the session's instance has not closed it")
            await asyncio.sleep(0.01)

    def _is_open(self, session_id: str) -> bool:
        return any(session_id in lease.sessions for lease in self._live())

    async def instances(self) -> list[InstanceStatus]:
        """See `MonitoringRepository`."""
        found = [
            InstanceStatus(
                lease.instance,
                lease.expires_at - self._clock(),
                lease.open_connections,
                lease.reserved_connections,
                lease.load,
                lease.certificate_expires_at,
            )
            for lease in self._live()
        ]
        return sorted(found, key=lambda status: status.instance.started_at)

    async def latencies(self) -> Latencies:
        """See `MonitoringRepository`."""
        return Latencies(
            histogram("command", self._latencies),
            histogram("login", self._latencies),
            refused(self._latencies),
        )

    async def last_activity_id(self) -> str:
        """See `MonitoringRepository`."""
        return f"{self._activities}-0"

    async def activity_after(
        self, activity_id: str, limit: int = ACTIVITY_LENGTH
    ) -> tuple[list[Activity], bool]:
        """See `MonitoringRepository`."""
        position = int(activity_id.partition("-")[0])
        first = self._activities - len(self._activity) + 1
        if position > self._activities:
            return self._activity[:limit], True
        return self._activity[max(position - first + 1, 0) :][:limit], position + 1 < first

    # Instances

    async def register_instance(self, instance: Instance) -> None:
        """See `InstanceRepository`."""
        for other in self._live():
            if other.instance.layout != instance.layout:
                raise LayoutDiffers(other.instance.layout)
        self._leases[instance.instance_id] = _Lease(instance, self._clock() + LEASE_SECONDS)

    async def exchange(self, exchange: Exchange, *, reap: bool = False) -> ExchangeResult:
        """See `InstanceRepository`."""
        is_new = exchange.counts_sequence > self._sequences.get(exchange.instance_id, 0)
        lease = self._leases.get(exchange.instance_id)
        if lease is None or lease.expires_at <= self._clock():
            raise LeaseLapsed(counts_taken=not is_new)
        if lease.number < exchange.confirmed_number:
            raise LeaseLapsed(counts_taken=not is_new)
        if exchange.exchange_number < lease.number or exchange.exchange_number == lease.number > 0:
            raise StoreUnavailable("overtaken by a later exchange")
        lease.number = exchange.exchange_number
        lease.expires_at = self._clock() + LEASE_SECONDS
        if is_new:
            self._sequences[exchange.instance_id] = exchange.counts_sequence
            self._add(exchange.deltas)
        self._release(exchange)
        lease.load = exchange.load
        self._note_sessions(lease, exchange)
        if reap:
            self._reap()
        lease.settings_version = exchange.settings_version
        delay = exchange.login_delay_seconds
        outcomes = [self._log_in(exchange.instance_id, login, delay) for login in exchange.logins]
        return self._grant(lease, exchange, outcomes)

    async def note_certificate(self, instance_id: str, expires_at: float) -> None:
        """See `InstanceRepository`."""
        for lease in self._live():
            if lease.instance.instance_id == instance_id:
                lease.certificate_expires_at = expires_at

    async def end_instance(self, instance_id: str) -> None:
        """See `InstanceRepository`."""
        self._leases.pop(instance_id, None)
        self._reap()

    async def answer_proposal(self, proposal_id: str, instance_id: str, *, usable: bool) -> None:
        """See `InstanceRepository`."""
        self._proposals.setdefault(proposal_id, {})[instance_id] = usable

    async def notifications(self) -> AsyncIterator[Notification]:
        """See `InstanceRepository`."""
        channel: asyncio.Queue[Notification] = asyncio.Queue()
        self._channels.append(channel)
        yield Notification(NotificationKind.RECONNECTED)
        try:
            while True:
                yield await channel.get()
        finally:
            self._channels.remove(channel)

    def _change(self, **fields: object) -> None:
        self._settings = replace(self._settings, version=self._settings.version + 1, **fields)  # type: ignore[arg-type]
        for name, value in fields.items():
            self._note_activity(ActivityKind.SETTING, name=name, value=str(value))
        self._publish(Notification(NotificationKind.SETTINGS_CHANGED))

    def _note_activity(self, kind: ActivityKind, **details: str) -> None:
        self._activities += 1
        self._activity.append(Activity(f"{self._activities}-0", kind, time.time(), details))
        del self._activity[:-ACTIVITY_LENGTH]

    def _free_maildrop(self, username: str) -> None:
        instance_id, session_id = self._maildrops.pop(username)
        self._free_maildirs(instance_id, session_id)
        self._note_activity(ActivityKind.LOGOUT, username=username, session=session_id, instance=instance_id)

    def _free_maildirs(self, instance_id: str, session_id: str) -> None:
        for name in [name for name, held in self._maildirs.items() if held == (instance_id, session_id)]:
            del self._maildirs[name]

    def _publish(self, event: Notification) -> None:
        for channel in self._channels:
            channel.put_nowait(event)

    def _live(self) -> list[_Lease]:
        return [lease for lease in self._leases.values() if lease.expires_at > self._clock()]

    def _add(self, deltas: Deltas) -> None:
        known = self._counters
        self._counters = replace(
            known,
            retrieved_bytes=known.retrieved_bytes + deltas.retrieved_bytes,
            retrieved_emails=known.retrieved_emails + deltas.retrieved_emails,
            removed_emails=known.removed_emails + deltas.removed_emails,
            historical_connections=known.historical_connections + deltas.connections,
            historical_logins=known.historical_logins + deltas.logins,
        )
        for name, count in deltas.latencies.items():
            self._latencies[name] = self._latencies.get(name, 0) + count

    def _release(self, exchange: Exchange) -> None:
        for username, session_id in exchange.releases + exchange.withdrawn_logins:
            if self._maildrops.get(username) == (exchange.instance_id, session_id):
                self._free_maildrop(username)
        for username, session_id in exchange.withdrawn_logins:
            if self._last_logins.get(username, ("", 0.0))[0] == session_id:
                del self._last_logins[username]

    def _note_sessions(self, lease: _Lease, exchange: Exchange) -> None:
        for row in exchange.session_rows:
            lease.sessions[row.session_id] = row
        for session_id in exchange.closed_sessions:
            lease.sessions.pop(session_id, None)

    def _log_in(self, instance_id: str, login: Login, delay_seconds: int) -> LoginOutcome:
        credential = self._users.get(login.username)
        if credential is None or credential.version != login.credential_version:
            return LoginOutcome.CREDENTIAL_CHANGED
        wanted = (instance_id, login.session_id)
        holder = self._maildrops.get(login.username)
        live = {lease.instance.instance_id for lease in self._live()}
        if holder is not None and holder != wanted and holder[0] in live:
            return LoginOutcome.IN_USE
        maildir_holder = self._maildirs.get(login.maildir, wanted)
        if maildir_holder != wanted and maildir_holder[0] in live:
            return LoginOutcome.IN_USE
        if delay_seconds and holder != wanted:
            if self._last_logins.get(login.username, ("", 0.0))[1] > self._clock():
                return LoginOutcome.TOO_SOON
            self._last_logins[login.username] = (login.session_id, self._clock() + delay_seconds)
        if holder != wanted:
            if holder is not None:  # its instance is dead
                self._free_maildrop(login.username)
            self._maildrops[login.username] = wanted
            self._note_activity(
                ActivityKind.LOGIN,
                username=login.username,
                session=login.session_id,
                instance=instance_id,
                address=login.address,
            )
        self._free_maildirs(*wanted)
        if login.maildir:
            self._maildirs[login.maildir] = wanted
        return LoginOutcome.OPENED

    def _grant(self, lease: _Lease, exchange: Exchange, outcomes: list[LoginOutcome]) -> ExchangeResult:
        others = [other for other in self._live() if other is not lease]
        reserved_elsewhere = sum(other.reserved_connections for other in others)
        lease.open_connections = exchange.open_connections
        allowed = [self._allow(lease, one, exchange.address_limit) for one in exchange.addresses]
        told = sum(one.open_connections + one.waiting_connections for one in exchange.addresses)
        waiting = exchange.waiting_connections - (told - sum(allowed))
        granted = grant(
            limit=self._settings.max_connections,
            reserved_elsewhere=reserved_elsewhere,
            instances=len(others) + 1,
            open_connections=exchange.open_connections,
            claimed_connections=exchange.claimed_connections,
            waiting_connections=waiting,
        )
        lease.reserved_connections = granted.reserved
        spare = reserved_elsewhere > sum(other.open_connections for other in others)
        is_short = lease.reserved_connections < exchange.open_connections + waiting
        if is_short and spare:
            self._publish(Notification(NotificationKind.SLOTS_WANTED))
        return ExchangeResult(
            reserved_connections=granted.reserved,
            should_shrink=granted.should_shrink,
            max_connections=self._settings.max_connections,
            spare_elsewhere=is_short and spare,
            settings_version=self._settings.version,
            logins=outcomes,
            addresses=allowed,
        )

    def _allow(self, lease: _Lease, told: AddressCount, limit: int) -> int:
        elsewhere = (other.addresses.get(told.address, 0) for other in self._live() if other is not lease)
        lease.addresses[told.address] = address_grant(
            limit=limit,
            open_elsewhere=sum(elsewhere),
            open_connections=told.open_connections,
            waiting_connections=told.waiting_connections,
        )
        return lease.addresses[told.address]

    def _reap(self) -> None:
        live = {lease.instance.instance_id for lease in self._live()}
        self._leases = {name: lease for name, lease in self._leases.items() if name in live}
        for name in [name for name, held in self._maildrops.items() if held[0] not in live]:
            self._free_maildrop(name)
