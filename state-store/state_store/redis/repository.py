"""The state of Peep in Redis: `StateRepository` over scripts that are one atomic step each."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

import structlog

from state_store.credentials.attempts import (
    Attempt,
    Decision,
    Outcome,
    RefusalReason,
    SlowDown,
    Verdict,
    ahead_flags,
    slow_down,
)
from state_store.credentials.networks import network_of
from state_store.errors import (
    LayoutDiffers,
    LeaseLapsed,
    MailDirectoryRefused,
    SettingsChanged,
    StoreEmptied,
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
    Counters,
    Credential,
    Exchange,
    ExchangeResult,
    Instance,
    InstanceStatus,
    Latencies,
    LoginOutcome,
    Notification,
    SessionRow,
    Settings,
    Word,
)
from state_store.redis import keys
from state_store.redis.channel import notifications
from state_store.redis.client import RedisClient
from state_store.redis.danger import eviction_warnings

OBEYED_SECONDS = 1.0
"""How long a change waits for every live instance to take note of it."""

PROPOSAL_SECONDS = 3.0
"""How long the live instances may take to look at a proposed mail directory."""

CLOSING_SECONDS = 3.0
"""How long the end of a session that is to be closed is waited for: it may be removing mail."""

ASKING_SECONDS = 0.25
"""After so long it is asked for again: the first word may have been lost."""

POLL_SECONDS = 0.01

NAMES_A_PAGE = 2000
"""Names that are asked for at once: Redis, and whoever else asks it, is not held up for longer than a
millisecond by a list of all users."""

_CHANGED_MEANWHILE = -1
"""What `change_settings.lua` answers instead of a version when another change came first."""

_OVERTAKEN = 2
"""What `exchange.lua` begins its answer with when a later exchange came first."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class RedisRepository:
    """Keeps the state in the Redis that `url` names (redis://, rediss://, unix://)."""

    def __init__(self, url: str, *, deployment_learned: Callable[[str], None] = lambda _: None) -> None:
        self._client = RedisClient(url)
        self._deployment_learned = deployment_learned
        self.deployment = ""
        """Which one this process works for; whoever knows it from before says so before `prepare`."""

    async def prepare(self) -> None:
        """See `StateRepository`."""
        await self._client.check_server(keys.LAYOUT, keys.LAYOUT_VERSION)
        for warning in await self.warnings():
            log.warning(warning)
        with suppress(StoreEmptied):  # it may be restored, or accepted, while we serve
            await self.attend()

    async def attend(self) -> None:
        """See `StateRepository`."""
        deployment, is_missed = await self._client.script("attend", self.deployment, secrets.token_hex(20))
        if is_missed:
            if self._client.refusal is None:
                log.error("THE STORE HAS LOST ITS USERS", reason=str(StoreEmptied()))
            self._client.refusal = StoreEmptied
            raise StoreEmptied
        if self._client.refusal is not None:
            self._client.refusal = None
            log.warning("the store is this deployment's again")
        if deployment != self.deployment and deployment:
            self.deployment = deployment
            self._deployment_learned(deployment)

    async def accept(self) -> int:
        """See `StateRepository`."""
        return len(await self._client.script("accept_store"))

    async def _ours(self, *words: Any) -> Any:
        """Return the answer to a command that may find nothing, once it is sure that the store is ours."""
        # Both travel together: what is not there takes no longer than what is.
        answer, deployment = await asyncio.gather(
            self._client.send(*words), self._client.send("GET", keys.DEPLOYMENT)
        )
        if deployment != (self.deployment or None):
            await self.attend()
        return answer

    async def close(self) -> None:
        """See `StateRepository`."""
        await self._client.close()

    async def ping(self) -> None:
        """See `MonitoringRepository`."""
        # A write that changes nothing and leaves no trace, but is refused where writes are.
        await self._client.command("SET", keys.PULSE, "", "XX")

    async def warnings(self) -> list[str]:
        """See `MonitoringRepository`."""
        try:
            fields = await self._client.send("INFO", "memory")
        except StoreUnavailable:
            return []  # away, or INFO is forbidden: `ping` tells the former
        return eviction_warnings(str(fields))

    # Settings

    async def settings(self) -> Settings:
        """See `SettingsRepository`."""
        fields = _pairs(await self._client.command("HGETALL", keys.SETTINGS))
        default = Settings()
        return Settings(
            max_connections=int(fields.get("max_connections", default.max_connections)),
            timeout_seconds=int(fields.get("timeout_seconds", default.timeout_seconds)),
            mail_directory=fields.get("mail_directory") or fields.get("announced_directory", ""),
            version=int(fields.get("version", 0)),
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
        if if_version is not None and (await self.settings()).version != if_version:
            raise SettingsChanged
        if mail_directory is not None:
            await self._propose(mail_directory)
        changes = {
            "max_connections": max_connections,
            "timeout_seconds": timeout_seconds,
            "mail_directory": mail_directory,
        }
        await self._change({name: value for name, value in changes.items() if value is not None}, if_version)
        return await self.settings()

    async def _propose(self, path: str) -> None:
        proposal_id = secrets.token_hex(8)
        asked = await self._client.script("propose_directory", proposal_id, path)
        verdicts = await self._verdicts(proposal_id, len(asked))
        if not asked or not all(verdicts.get(instance_id) == "1" for instance_id in asked):
            raise MailDirectoryRefused

    async def announce_mail_directory(self, path: str, *, overrides: bool) -> str:
        """See `SettingsRepository`."""
        return str(await self._client.script("announce_directory", path, int(overrides)))

    async def _change(self, changes: Mapping[str, str | int], if_version: int | None) -> None:
        expected = "" if if_version is None else if_version
        version = await self._client.script("change_settings", expected, *_flat(changes))
        if version == _CHANGED_MEANWHILE:
            raise SettingsChanged
        end = asyncio.get_running_loop().time() + OBEYED_SECONDS
        while not await self._client.script("obeyed", version):
            if asyncio.get_running_loop().time() > end:
                break  # an instance that is dead or cut off: it obeys when it is back
            await asyncio.sleep(POLL_SECONDS)

    async def _verdicts(self, proposal_id: str, expected: int) -> dict[str, str]:
        end = asyncio.get_running_loop().time() + PROPOSAL_SECONDS
        while True:
            verdicts = _pairs(await self._client.command("HGETALL", keys.PROPOSAL + proposal_id))
            if len(verdicts) >= expected or asyncio.get_running_loop().time() > end:
                return verdicts
            await asyncio.sleep(POLL_SECONDS)

    # Users and administrators

    async def usernames(self) -> list[str]:
        """See `UserRepository`."""
        names: list[str] = []
        while True:
            page = await self.usernames_after(names[-1] if names else "", NAMES_A_PAGE)
            names += page
            if len(page) < NAMES_A_PAGE:
                return names

    async def usernames_after(self, after: str, limit: int, prefix: str = "") -> list[str]:
        """See `UserRepository`."""
        start = f"({after}" if after and after >= prefix else f"[{prefix}" if prefix else "-"
        end = f"({prefix}\x7f" if prefix else "+"  # names are of printable ASCII
        return list(await self._client.command("ZRANGEBYLEX", keys.USERNAMES, start, end, "LIMIT", 0, limit))

    async def credential(self, username: str) -> Credential | None:
        """See `UserRepository`."""
        text = await self._ours("HGET", keys.CREDENTIALS, username)
        if text is None:
            return None
        version, _, secrets_text = text.partition(" ")
        password_hash, _, scram_verifier = secrets_text.partition(" ")
        return Credential(password_hash, version, scram_verifier)

    async def add_user(self, username: str, credential: Credential) -> None:
        """See `UserRepository`."""
        if await self._client.script("add_user", username, _credential_text(credential)):
            raise UserExists

    async def remove_user(self, username: str) -> None:
        """See `UserRepository`."""
        if await self._client.script("remove_user", username):
            raise UnknownUser

    async def set_credential(self, username: str, credential: Credential) -> None:
        """See `UserRepository`."""
        if await self._client.script("set_credential", username, _credential_text(credential)):
            raise UnknownUser

    async def deployment_secret(self) -> str:
        """See `UserRepository`."""
        # Set and got in one step: the first replica to ask decides for all.
        candidate = secrets.token_hex(32)
        known = await self._client.command("SET", keys.SECRET, candidate, "NX", "GET")
        return candidate if known is None else str(known)

    async def administrators(self) -> dict[str, str]:
        """See `AdministratorRepository`."""
        return _pairs(await self._ours("HGETALL", keys.ADMINISTRATORS))

    async def replace_administrators(
        self, hashes: Mapping[str, str], front_end: str = "", word: Word = Word.START
    ) -> None:
        """See `AdministratorRepository`."""
        await self._client.script("name_administrators", front_end, word.value, *_flat(hashes))

    async def leave(self, front_end: str) -> None:
        """See `AdministratorRepository`."""
        await self._client.command("HDEL", keys.FRONT_ENDS, front_end)

    async def add_first_administrator(self, name: str, password_hash: str) -> bool:
        """See `AdministratorRepository`."""
        return bool(await self._client.script("add_first_administrator", name, password_hash))

    async def end_sign_in(self, sign_in_id: str, seconds: int) -> None:
        """See `AdministratorRepository`."""
        await self._client.command("SET", keys.SIGNED_OUT + sign_in_id, "", "EX", seconds)

    async def is_ended_sign_in(self, sign_in_id: str) -> bool:
        """See `AdministratorRepository`."""
        return bool(await self._client.command("EXISTS", keys.SIGNED_OUT + sign_in_id))

    # Wrong passwords

    async def recognise(self, subject: str, network: str) -> bool:
        """See `AttemptRepository`."""
        return bool(await self._client.script("recognise", subject, network))

    async def begin_attempt(
        self,
        attempt: Attempt,
        *,
        ahead: Collection[str] = (),
        is_first: bool = True,
        as_unknown: bool = False,
    ) -> Decision:
        """See `AttemptRepository`."""
        verdict, from_pair, from_network, wait_ms, allowance, entry = await self._client.script(
            "begin_attempt",
            attempt.subject,
            attempt.network,
            attempt.digest,
            int(attempt.is_trusted),
            int(as_unknown),
            int(is_first),
            *ahead_flags(attempt, ahead),
        )
        return Decision(
            Verdict(verdict), bool(from_pair), bool(from_network), wait_ms / 1000, allowance, entry
        )

    async def end_attempt(
        self, attempt: Attempt, decision: Decision, outcome: Outcome, reason: RefusalReason | None = None
    ) -> None:
        """See `AttemptRepository`."""
        await self._client.script(
            "end_attempt",
            attempt.subject,
            attempt.network,
            decision.refused_entry,
            outcome.value,
            int(decision.from_pair),
            int(decision.from_network),
            reason.value if reason is not None else "",
        )

    async def slow_downs(self) -> list[SlowDown]:
        """See `AttemptRepository`."""
        found = [
            slow_down(allowance, since / 1000, held, until / 1000)
            for allowance, since, held, until in await self._client.script("slow_downs")
        ]
        return sorted(found, key=lambda one: one.since)

    async def lift_slow_down(self, slow_down_id: str) -> None:
        """See `AttemptRepository`."""
        if not await self._client.script("lift_slow_down", slow_down_id):
            raise UnknownSlowDown

    # Monitoring

    async def counters(self) -> Counters:
        """See `MonitoringRepository`."""
        answer = await self._client.script("observe")
        nbytes, retrieved, removed, connections, logins, current, logged_in = map(int, answer)
        return Counters(nbytes, retrieved, removed, current, logged_in, connections, logins)

    async def logged_in_users(self) -> list[str]:
        """See `MonitoringRepository`."""
        return sorted(await self._client.script("logged_in_users"))

    async def sessions(self) -> list[SessionRow]:
        """See `MonitoringRepository`."""
        found = [
            _session(session_id, instance_id, json.loads(row))
            for instance_id, rows in await self._client.script("sessions")
            for session_id, row in _pairs(rows).items()
        ]
        return sorted(found, key=lambda session: (session.connected_at, session.session_id))

    async def close_session(self, session_id: str) -> None:
        """See `MonitoringRepository`."""
        if not await self._client.script("close_session", session_id, 1):
            raise UnknownSession
        loop = asyncio.get_running_loop()
        end, ask_again_at = loop.time() + CLOSING_SECONDS, loop.time() + ASKING_SECONDS
        is_asking = False
        while await self._client.script("close_session", session_id, int(is_asking)):
            if loop.time() > end:
                raise StoreUnavailable("the session's instance has not closed it")
            await asyncio.sleep(POLL_SECONDS)
            is_asking = loop.time() > ask_again_at
            if is_asking:
                ask_again_at += ASKING_SECONDS

    async def instances(self) -> list[InstanceStatus]:
        """See `MonitoringRepository`."""
        found = [
            _instance_status(instance_id, lease_ms, _pairs(row))
            for instance_id, lease_ms, row in await self._client.script("instances")
        ]
        return sorted(found, key=lambda status: status.instance.started_at)

    async def latencies(self) -> Latencies:
        """See `MonitoringRepository`."""
        fields = _pairs(await self._client.command("HGETALL", keys.LATENCIES))
        return Latencies(histogram("command", fields), histogram("login", fields), refused(fields))

    async def last_activity_id(self) -> str:
        """See `MonitoringRepository`."""
        _, last, *_ = await self._client.script("activity", "0-0", 1)
        return str(last)

    async def activity_after(
        self, activity_id: str, limit: int = ACTIVITY_LENGTH
    ) -> tuple[list[Activity], bool]:
        """See `MonitoringRepository`."""
        first, last, added, length, entries = await self._client.script("activity", activity_id, limit)
        if _position(activity_id) > _position(last):
            found, _ = await self.activity_after("0-0", limit)
            return found, True
        is_gap = added > length and _position(activity_id) < _position(first)
        return [_activity(entry_id, _pairs(fields)) for entry_id, fields in entries], is_gap

    # Instances

    async def register_instance(self, instance: Instance) -> None:
        """See `InstanceRepository`."""
        row = {
            "host": instance.host,
            "process_id": instance.process_id,
            "version": instance.version,
            "started_at": instance.started_at,
            "worker": instance.worker,
            "layout": instance.layout,
        }
        other = await self._client.script(
            "register_instance", instance.instance_id, instance.layout, *_flat(row)
        )
        if other is not None:
            raise LayoutDiffers(str(other))

    async def exchange(self, exchange: Exchange, *, reap: bool = False) -> ExchangeResult:
        """See `InstanceRepository`."""
        if self._client.refusal is not None:
            await self.attend()
        answer = await self._client.script("exchange", *_exchange_arguments(exchange, reap=reap))
        if answer[0] == _OVERTAKEN:
            raise StoreUnavailable("overtaken by a later exchange")
        if answer[0]:
            raise LeaseLapsed(counts_taken=bool(answer[1]))
        _, _, reserved, should_shrink, limit, spare_elsewhere, version, outcomes, allowed = answer
        return ExchangeResult(
            reserved_connections=reserved,
            should_shrink=bool(should_shrink),
            max_connections=limit,
            spare_elsewhere=bool(spare_elsewhere),
            settings_version=version,
            logins=[LoginOutcome(outcome) for outcome in outcomes],
            addresses=allowed,
        )

    async def note_certificate(self, instance_id: str, expires_at: float) -> None:
        """See `InstanceRepository`."""
        await self._client.script("note_certificate", instance_id, expires_at)

    async def end_instance(self, instance_id: str) -> None:
        """See `InstanceRepository`."""
        await self._client.script("end_instance", instance_id)

    async def answer_proposal(self, proposal_id: str, instance_id: str, *, usable: bool) -> None:
        """See `InstanceRepository`."""
        await self._client.script("answer_proposal", proposal_id, instance_id, int(usable))

    def notifications(self) -> AsyncIterator[Notification]:
        """See `InstanceRepository`."""
        return notifications(self._client)


def _exchange_arguments(exchange: Exchange, *, reap: bool) -> Iterator[Any]:
    deltas = exchange.deltas
    yield from (
        exchange.instance_id,
        exchange.counts_sequence,
        exchange.exchange_number,
        exchange.confirmed_number,
    )
    yield from (deltas.retrieved_bytes, deltas.retrieved_emails, deltas.removed_emails)
    yield from (deltas.connections, deltas.logins, len(deltas.latencies))
    for latency in deltas.latencies.items():
        yield from latency
    yield from (exchange.open_connections, exchange.claimed_connections, exchange.waiting_connections)
    yield from (exchange.settings_version, round(exchange.load, 3), int(reap))
    yield len(exchange.releases)
    for release in exchange.releases:
        yield from release
    yield len(exchange.withdrawn_logins)
    for withdrawn in exchange.withdrawn_logins:
        yield from withdrawn
    yield len(exchange.session_rows)
    for row in exchange.session_rows:
        yield row.session_id
        yield json.dumps(
            [row.username, row.address, row.connected_at, row.tls, row.octets, row.retrieved, row.marked]
        )
    yield len(exchange.closed_sessions)
    yield from exchange.closed_sessions
    yield len(exchange.logins)
    if exchange.logins:
        yield exchange.login_delay_seconds
    for login in exchange.logins:
        yield from (login.username, login.session_id, login.credential_version, login.address)
        yield network_of(login.address)
        yield from (int(login.is_remembered), login.maildir)
    yield exchange.address_limit
    if exchange.address_limit:
        yield len(exchange.addresses)
        for one in exchange.addresses:
            yield from (one.address, one.open_connections, one.waiting_connections)


def _credential_text(credential: Credential) -> str:
    words = [credential.version, credential.password_hash]
    return " ".join([*words, credential.scram_verifier] if credential.scram_verifier else words)


def _session(session_id: str, instance_id: str, row: list[Any]) -> SessionRow:
    return SessionRow(session_id, instance_id, *row)


def _instance_status(instance_id: str, lease_ms: int, row: dict[str, str]) -> InstanceStatus:
    instance = Instance(
        instance_id,
        row["host"],
        int(row["process_id"]),
        row["version"],
        float(row["started_at"]),
        int(row["worker"]),
    )
    return InstanceStatus(
        instance,
        lease_ms / 1000,
        int(row.get("open", 0)),
        int(row.get("reserved", 0)),
        float(row.get("load", 0)),
        float(row.get("certificate_expires_at", 0)),
    )


def _activity(activity_id: str, fields: dict[str, str]) -> Activity:
    milliseconds, _ = _position(activity_id)
    return Activity(activity_id, ActivityKind(fields.pop("kind")), milliseconds / 1000, fields)


def _position(activity_id: str) -> tuple[int, int]:
    """Return what ids of a stream are compared by."""
    milliseconds, _, number = activity_id.partition("-")
    return int(milliseconds), int(number or 0)


def _pairs(answer: Any) -> dict[str, str]:
    """Return a hash, which comes as a flat list from scripts and as a mapping from RESP3's HGETALL."""
    return dict(answer) if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


def _flat(fields: Mapping[str, Any]) -> list[Any]:
    return [word for pair in fields.items() for word in pair]
