"""What is well and what is not, by the figures of store, instances and disks."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from state_api.health_report import (
    ADVICE,
    CERTIFICATE_SECONDS,
    CLOCK_SECONDS,
    CONNECTIONS_SHARE,
    DAY,
    FREE_SHARE,
    LAG_SECONDS,
    LOAD,
    LOOK_SECONDS,
    MEMORY_SHARE,
    Check,
    Facts,
    State,
    report,
    worst,
)
from state_store.records import Counters, Instance, InstanceStatus, Settings
from state_store.refusals import RefusalCounts
from state_store.store_status import StoreStatus
from state_store.vitals import Vitals
from support.busy_store import vitals

NOW = 1_795_985_990.0
VITALS = vitals(told_at=NOW, certificate_expires_at=NOW + 90 * DAY)
STATUS = InstanceStatus(Instance("i1", "mail-1", 1, "1", 0.0), 14.0, 2, 2, 0.25, VITALS)
ALERTS = Path(__file__).parents[2] / "deploy" / "monitoring" / "alerts.yml"
LIMITS = {
    "PeepMailDiskFull": FREE_SHARE.warning,
    "PeepMailDiskInodes": FREE_SHARE.warning,
    "PeepMailDiskSlow": LOOK_SECONDS.warning,
    "PeepEventLoopLate": LAG_SECONDS.warning,
    "PeepStoreMemory": MEMORY_SHARE.warning,
    "PeepClocksDiffer": CLOCK_SECONDS.warning,
    "PeepProcessBusy": LOAD.warning,
    "PeepConnectionLimitNear": CONNECTIONS_SHARE.warning,
}
INFO = """# Server
redis_version:7.2.4
server_name:valkey
valkey_version:9.1.2
# Memory
used_memory:1000
total_system_memory:8000
maxmemory:2000
maxmemory_policy:noeviction
# Persistence
aof_enabled:1
aof_last_write_status:ok
aof_last_bgrewrite_status:ok
# Replication
role:master
slave0:ip=192.0.2.3,port=6379,state=online,offset=14,lag=1
"""


def checks_of(
    *, info: str = INFO, round_trip: float = 0.001, ahead: float = 0.0, taken: int = 2,
    instances: tuple[InstanceStatus, ...] = (STATUS,),
) -> list[Check]:  # fmt: skip
    store = StoreStatus.of(round_trip, ahead, info)
    return report(Facts(NOW, store, instances, Settings(), Counters(current_connections=taken)))


def bad(checks: list[Check]) -> list[tuple[str, State]]:
    return [(check.name, check.state) for check in checks if check.state is not State.OK]


def test_what_is_well_needs_no_advice() -> None:
    checks = checks_of()
    assert (bad(checks), worst(checks)) == ([], State.OK)
    assert not any(check.advice for check in checks)
    assert {(check.name, check.subject): check.text for check in checks} == {
        ("redis", ""): "Valkey 9.1.2, master, answers in 1.0 ms",
        ("redis-memory", ""): "1.0 kB of 2.0 kB, noeviction",
        ("redis-log", ""): "append-only file",
        ("redis-replicas", ""): "1 in step, 0 behind",
        ("instances", ""): "1 POP3 process is alive",
        ("connections", ""): "2 of 1,000",
        ("clock", "state-api"): "0.0 ms behind Redis' clock",
        ("clock", "mail-1"): "0.0 ms behind Redis' clock",
        ("certificate", "mail-1"): "expires 2027-02-27, in 90 days",
        ("mail-disk-latency", "mail-1"): "reading the mail directory takes 3.0 ms",
        ("mail-disk", "mail-1"): "400.0 B of 1.0 kB are free",
        ("mail-disk-inodes", "mail-1"): "30 of 100 are free",
        ("instance", "mail-1 worker 1 (i1)"): "load 25%, lease 14 s, late by 2.0 ms at most, 7 threads",
    }


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"certificate_expires_at": NOW + 13 * DAY}, "certificate", State.WARNING),
        ({"certificate_expires_at": NOW - 1}, "certificate", State.CRITICAL),
        ({"disk_free": 90}, "mail-disk", State.WARNING),
        ({"disk_free": 20}, "mail-disk", State.CRITICAL),
        ({"disk_free_inodes": 0}, "mail-disk-inodes", State.CRITICAL),
        ({"disk_look": 2.0}, "mail-disk-latency", State.WARNING),
        ({"disk_fault": "Stale file handle"}, "mail-disk", State.CRITICAL),
        ({"loop_lag": 0.3}, "instance", State.WARNING),
        ({"loop_lag": 3.0}, "instance", State.CRITICAL),
    ],
)
def test_what_an_instance_tells_is_judged(changes: dict[str, object], name: str, state: State) -> None:
    status = replace(STATUS, vitals=replace(VITALS, **changes))  # type: ignore[arg-type]
    checks = checks_of(instances=(status, replace(STATUS, instance=replace(STATUS.instance, worker=2))))
    assert bad(checks) == [(name, state)], "the worst of the machine, and once"
    assert worst(checks) is state


@pytest.mark.parametrize(
    ("old", "new", "name", "state"),
    [
        ("used_memory:1000", "used_memory:1700", "redis-memory", State.WARNING),
        ("used_memory:1000", "used_memory:1950", "redis-memory", State.CRITICAL),
        ("noeviction", "allkeys-lru", "redis-memory", State.CRITICAL),
        ("aof_enabled:1", "aof_enabled:0", "redis-log", State.WARNING),
        ("aof_last_write_status:ok", "aof_last_write_status:err", "redis-log", State.CRITICAL),
        ("state=online", "state=wait_bgsave", "redis-replicas", State.WARNING),
    ],
)
def test_what_redis_tells_is_judged(old: str, new: str, name: str, state: State) -> None:
    assert bad(checks_of(info=INFO.replace(old, new))) == [(name, state)]


def test_without_a_maxmemory_the_memory_of_the_machine_is_the_limit_and_nothing_is_evicted() -> None:
    info = INFO.replace("maxmemory:2000", "maxmemory:0").replace("noeviction", "allkeys-lru")
    assert bad(checks_of(info=info)) == []
    assert bad(checks_of(info=info.replace("used_memory:1000", "used_memory:7000"))) == [
        ("redis-memory", State.WARNING)
    ]


def test_a_forbidden_info_is_unknown_and_says_what_to_allow() -> None:
    facts = Facts(NOW, StoreStatus(0.001, 0.0), (STATUS,), Settings(), Counters())
    assert bad(report(facts)) == [("redis", State.UNKNOWN)]
    assert report(facts)[0].advice == ADVICE["redis untold"]


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (checks_of(round_trip=0.6), [("redis", State.CRITICAL)]),
        (checks_of(ahead=-3.0), [("clock", State.WARNING)]),
        (checks_of(instances=(replace(STATUS, clock_ahead=90.0),)), [("clock", State.CRITICAL)]),
        (checks_of(instances=()), [("instances", State.CRITICAL)]),
        (checks_of(taken=1000), [("connections", State.CRITICAL)]),
        (checks_of(instances=(replace(STATUS, load=0.95),)), [("instance", State.WARNING)]),
    ],
)
def test_the_service_is_judged(checks: list[Check], expected: list[tuple[str, State]]) -> None:
    assert bad(checks) == expected
    assert all(check.advice for check in checks if check.state is not State.OK)


def test_a_process_that_has_not_reported_yet_is_unknown_and_fails_nothing() -> None:
    checks = checks_of(instances=(replace(STATUS, vitals=None),))
    assert bad(checks) == [("mail-disk", State.UNKNOWN), ("instance", State.UNKNOWN)]
    assert [check.text for check in checks if check.state is State.UNKNOWN] == [
        "not reported yet (version 1)",
        "load 25%, lease 14 s; has not reported yet (version 1)",
    ]
    assert worst(checks) is State.OK


def test_a_process_that_knows_no_refusals_is_a_warning_while_somebody_is_refused() -> None:
    older = replace(STATUS, instance=replace(STATUS.instance, version="0.0.9", knows_refusals=0))
    store = StoreStatus.of(0.001, 0.0, INFO)
    for refusals, expected in (
        (RefusalCounts(), []),
        (RefusalCounts(exempt=3), []),
        (RefusalCounts(banned=1), [("refusals", State.WARNING)]),
        (RefusalCounts(suspended=1), [("refusals", State.WARNING)]),
    ):
        checks = report(Facts(NOW, store, (older, STATUS), Settings(), Counters(), refusals))
        assert bad(checks) == expected
    told = next(check for check in checks if check.name == "refusals")
    assert (told.subject, told.text) == ("mail-1", "version 0.0.9 lets in whoever is suspended or banned")


def test_a_disk_that_was_not_looked_at_yet_is_unknown() -> None:
    assert bad(checks_of(instances=(replace(STATUS, vitals=Vitals(told_at=NOW)),))) == [
        ("mail-disk", State.UNKNOWN)
    ]


def test_alerts_have_the_limits_of_the_report() -> None:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    limit = {
        rule["alert"]: float(rule["expr"].split()[-1])
        for rule in groups[0]["rules"]
        if rule["alert"] in LIMITS
    }
    assert limit == LIMITS
    ends = {rule["alert"]: rule["expr"] for rule in groups[0]["rules"]}
    assert ends["PeepCertificateExpiresSoon"].endswith(f"< {CERTIFICATE_SECONDS.warning / DAY:.0f} * 86400")
    assert ends["PeepCertificateExpires"].endswith(f"< {CERTIFICATE_SECONDS.critical / DAY:.0f} * 86400")


def test_a_process_that_is_draining_says_so() -> None:
    checks = checks_of(instances=(replace(STATUS, vitals=replace(VITALS, is_draining=1)),))
    assert checks[-1].text.endswith(", draining")
    assert worst(checks) is State.OK
