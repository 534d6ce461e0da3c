"""Checks the store, the instances and the disks, each with what to do (D99).

In a rolling upgrade an older version does not report all of it: that is unknown, and not a fault.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from state_api.times import time_of
from state_store.records import Counters, InstanceStatus, Settings
from state_store.refusals import RefusalCounts
from state_store.repository import StateRepository
from state_store.store_status import StoreStatus
from state_store.vitals import Vitals

DAY = 86_400


class State(Enum):
    """How bad it is, from the least to the most."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Limits:
    """From which figure on a check is a warning, and from which critical."""

    warning: float
    critical: float

    def state(self, value: float) -> State:
        """Return the state of a figure that is bad when it is large."""
        if value >= self.critical:
            return State.CRITICAL
        return State.WARNING if value >= self.warning else State.OK

    def state_of_rest(self, value: float) -> State:
        """Return the state of a figure that is bad when it is small."""
        if value <= self.critical:
            return State.CRITICAL
        return State.WARNING if value <= self.warning else State.OK


# As in deploy/monitoring/alerts.yml.
CERTIFICATE_SECONDS = Limits(14 * DAY, 2 * DAY)
MEMORY_SHARE = Limits(0.8, 0.95)
ROUND_TRIP_SECONDS = Limits(0.05, 0.5)
CLOCK_SECONDS = Limits(2.0, 60.0)
FREE_SHARE = Limits(0.1, 0.02)
LOOK_SECONDS = Limits(1.0, 10.0)
LAG_SECONDS = Limits(0.25, 2.0)
LOAD = Limits(0.9, float("inf"))
CONNECTIONS_SHARE = Limits(0.9, 1.0)

ADVICE = {
    "redis": "Look for slow commands (SLOWLOG GET), a full processor or swapping on its machine.",
    "redis untold": "Let Peep's user in Redis call INFO (docs/redis.md): without it memory is not checked.",
    "redis-memory": "Raise maxmemory, or the machine's memory: a full Redis takes no logins (docs/redis.md).",
    "redis-memory evicts": "Set maxmemory-policy noeviction, in its file too: now it may lose users.",
    "redis-log": "See its log, and whether its disk is full: a restart loses what is not on the disk.",
    "redis-log off": "Set appendonly yes, in its file too: a restart loses what it has not saved.",
    "redis-replicas": "See INFO replication and the replica's log: a failover to it loses what it lacks.",
    "instances": "Nobody is served: see whether pop3-service runs, and its log.",
    "connections": "Raise the limit (peepctl set max-connections), or see who holds them (peepctl sessions).",
    "clock": "Let both machines keep their clocks by NTP: times in logs and in the history are wrong.",
    "refusals": "Upgrade its POP3 service (docs/upgrade.md); until then change passwords, or use a firewall.",
    "certificate": "Renew it: changed files are loaded within seconds. If that was done, see the log.",
    "mail-disk": "Make room, or enlarge the disk: once it is full, mail is not delivered any more.",
    "mail-disk unreadable": "Mount it, or give pop3-service's user rights there: nobody can log in.",
    "mail-disk-inodes": "Remove files: each message takes an inode, however much is free.",
    "mail-disk-latency": "See whether its disk or file server hangs or is busy: users with mail there wait.",
    "instance": "Start more workers (PEEP_POP3_WORKERS) or replicas.",
    "instance late": "All its clients wait so long: see if its machine is busy, swaps, or stood still.",
}
"""What to do about each check, or about one kind of fault of a check."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    subject: str
    """Which one of several; empty where there is one."""
    state: State
    text: str
    """The state in words."""
    advice: str = ""
    """What to do; empty if nothing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one moment."""

    at: float
    """Seconds since the epoch."""
    store: StoreStatus
    instances: Sequence[InstanceStatus]
    settings: Settings
    counters: Counters
    refusals: RefusalCounts = field(default_factory=RefusalCounts)
    """How many are in force."""


async def current_checks(repository: StateRepository) -> list[Check]:
    """Return the report of this moment. Raises `StoreUnavailable`."""
    facts = await asyncio.gather(
        repository.store_status(),
        repository.instances(),
        repository.settings(),
        repository.counters(),
        repository.refusal_counts(),
    )
    return report(Facts(time.time(), *facts))


def report(facts: Facts) -> list[Check]:
    """Return all checks, the store's first."""
    return [*_store(facts.store), *_service(facts), *_hosts(facts), *_instances(facts.instances)]


def worst(checks: Iterable[Check]) -> State:
    """Return the worst state; unknown ones do not count."""
    order = list(State)
    states = (check.state for check in checks if check.state is not State.UNKNOWN)
    return max(states, key=order.index, default=State.OK)


def _check(name: str, subject: str, state: State, text: str, fault: str = "") -> Check:
    """Return a check, with the advice for its `fault` unless it is OK."""
    advice = "" if state is State.OK else ADVICE[f"{name} {fault}".rstrip()]
    return Check(name, subject, state, text, advice)


def _store(store: StoreStatus) -> Iterator[Check]:
    state, answer = ROUND_TRIP_SECONDS.state(store.round_trip), f"answers in {_seconds(store.round_trip)}"
    if not store.is_told:
        yield _check("redis", "", State.UNKNOWN if state is State.OK else state, answer, "untold")
        return
    yield _check("redis", "", state, f"{store.server}, {store.role}, {answer}")
    yield _memory(store)
    if store.keeps_log:
        text = f"{store.log_fault} the append-only file has failed" if store.log_fault else "append-only file"
        yield _check("redis-log", "", State.CRITICAL if store.log_fault else State.OK, text)
    else:
        yield _check("redis-log", "", State.WARNING, "no append-only file", "off")
    behind = State.WARNING if store.replicas_behind else State.OK
    text = f"{store.replicas} in step, {store.replicas_behind} behind"
    yield _check("redis-replicas", "", behind, text)


def _memory(store: StoreStatus) -> Check:
    limit = store.max_memory or store.machine_memory
    of = f" of {_octets(limit)}" + ("" if store.max_memory else " of the machine") if limit else ""
    text = f"{_octets(store.memory)}{of}, {store.eviction_policy}"
    if store.may_evict:
        return _check("redis-memory", "", State.CRITICAL, text, "evicts")
    return _check("redis-memory", "", MEMORY_SHARE.state(store.memory / limit if limit else 0.0), text)


def _service(facts: Facts) -> Iterator[Check]:
    live = len(facts.instances)
    text = "1 POP3 process is alive" if live == 1 else f"{live} POP3 processes are alive"
    yield _check("instances", "", State.OK if live else State.CRITICAL, text)
    taken, limit = facts.counters.current_connections, facts.settings.max_connections
    yield _check("connections", "", CONNECTIONS_SHARE.state(taken / limit), f"{taken:,} of {limit:,}")
    yield _clock("state-api", -facts.store.clock_ahead)


def _clock(whose: str, ahead: float) -> Check:
    text = f"{_seconds(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} Redis' clock"
    return _check("clock", whose, CLOCK_SECONDS.state(abs(ahead)), text)


def _hosts(facts: Facts) -> Iterator[Check]:
    """Yield the checks that the processes of a machine share: the worst that any of them reports."""
    by_host: dict[str, list[InstanceStatus]] = {}
    for status in facts.instances:
        by_host.setdefault(status.instance.host, []).append(status)
    for host, statuses in sorted(by_host.items()):
        if facts.refusals.suspended or facts.refusals.banned:
            yield from _ignorant(host, statuses)
        told = [status.vitals for status in statuses if status.vitals is not None]
        if told:
            yield _clock(host, max((one.clock_ahead for one in statuses if one.vitals), key=abs))
            yield from _certificate(host, told, facts.at)
            yield from _disk(host, told)
        else:
            versions = ", ".join(sorted({status.instance.version for status in statuses}))
            yield Check("mail-disk", host, State.UNKNOWN, f"not reported yet (version {versions})")


def _ignorant(host: str, statuses: Sequence[InstanceStatus]) -> Iterator[Check]:
    versions = sorted({one.instance.version for one in statuses if not one.instance.knows_refusals})
    if versions:
        text = f"version {', '.join(versions)} lets in whoever is suspended or banned"
        yield _check("refusals", host, State.WARNING, text)


def _certificate(host: str, told: Sequence[Vitals], now: float) -> Iterator[Check]:
    ends = [vitals.certificate_expires_at for vitals in told if vitals.certificate_expires_at]
    if ends:
        left = min(ends) - now
        date = f"{time_of(min(ends)):%Y-%m-%d}"
        text = f"expires {date}, in {_days(left)}" if left > 0 else f"expired {date}, {_days(-left)} ago"
        yield _check("certificate", host, CERTIFICATE_SECONDS.state_of_rest(left), text)


def _disk(host: str, told: Sequence[Vitals]) -> Iterator[Check]:
    look = max(vitals.disk_look for vitals in told)
    text = f"reading the mail directory takes {_seconds(look)}"
    yield _check("mail-disk-latency", host, LOOK_SECONDS.state(look), text)
    faults = [vitals.disk_fault for vitals in told if vitals.disk_fault]
    known = [vitals for vitals in told if vitals.disk_octets]
    if faults:
        yield _check("mail-disk", host, State.CRITICAL, f"cannot be read: {faults[0]}", "unreadable")
    elif known:
        yield from _room(host, min(known, key=lambda vitals: vitals.disk_free / vitals.disk_octets))
    else:
        yield Check("mail-disk", host, State.UNKNOWN, "not checked yet")


def _room(host: str, disk: Vitals) -> Iterator[Check]:
    state = FREE_SHARE.state_of_rest(disk.disk_free / disk.disk_octets)
    text = f"{_octets(disk.disk_free)} of {_octets(disk.disk_octets)} are free"
    yield _check("mail-disk", host, state, text)
    if disk.disk_inodes:
        state = FREE_SHARE.state_of_rest(disk.disk_free_inodes / disk.disk_inodes)
        text = f"{disk.disk_free_inodes:,} of {disk.disk_inodes:,} are free"
        yield _check("mail-disk-inodes", host, state, text)


def _instances(instances: Sequence[InstanceStatus]) -> Iterator[Check]:
    for status in instances:
        about, vitals = status.instance, status.vitals
        who = f"{about.host} worker {about.worker} ({about.instance_id})"
        text = f"load {status.load:.0%}, lease {status.lease_seconds:.0f} s"
        if vitals is None:
            text += f"; has not reported yet (version {about.version})"
            yield Check("instance", who, State.UNKNOWN, text)
            continue
        draining = ", draining" if vitals.is_draining else ""
        text += f", late by {_seconds(vitals.loop_lag)} at most, {vitals.threads} threads{draining}"
        late = LAG_SECONDS.state(vitals.loop_lag)
        if late is State.OK:
            yield _check("instance", who, LOAD.state(status.load), text)
        else:
            yield _check("instance", who, late, text, "late")


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _days(seconds: float) -> str:
    return f"{seconds / DAY:.0f} days" if seconds >= 2 * DAY else f"{seconds / 3600:.0f} hours"


def _octets(octets: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if octets < 1000 or unit == "TB":
            break
        octets /= 1000
    return f"{octets:.1f} {unit}"
