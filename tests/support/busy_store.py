"""A store in which something has happened, and what `/metrics` says of it."""

import time
from dataclasses import replace

import httpx

from state_store.latency import DAMAGED_UNIQUE_IDS, LatencyRecorder
from state_store.records import Counters, Credential, Deltas, Exchange, Login, LoginOutcome, SessionRow
from state_store.repository import StateRepository
from state_store.vitals import Vitals
from support.actors import OPERATOR
from support.api_client import api_client
from support.peep_gateway_server import instance

COUNTERS = Counters(
    retrieved_bytes=1234,
    retrieved_emails=5,
    removed_emails=2,
    current_connections=2,
    logged_in_users=1,
    historical_connections=9,
    historical_logins=4,
)
COMMAND_SECONDS = (0.0002, 0.0002, 0.004, 0.3, 60.0)
LOGIN_SECONDS = (0.03, 0.2)
CERTIFICATE_EXPIRES_AT = 1_900_000_000.0

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def vitals(**changes: float | str) -> Vitals:
    """Return those of a process that is well, told just now, but for `changes`."""
    well = Vitals(
        told_at=time.time(),
        certificate_expires_at=CERTIFICATE_EXPIRES_AT,
        round_trip=0.001,
        loop_lag=0.002,
        threads=7,
        disk_look=0.003,
        disk_octets=1000,
        disk_free=400,
        disk_inodes=100,
        disk_free_inodes=30,
    )
    return replace(well, **changes)  # type: ignore[arg-type]


async def make_busy(repository: StateRepository) -> None:
    """Let there be two connections, alice logged in on one of them, a user with an old hash, and counts."""
    await repository.add_user("alice", Credential("no-hash", "1"), by=OPERATOR)
    await repository.add_user("old", Credential("{SSHA}hash", "1"), by=OPERATOR)
    await repository.announce_source("old.example.org:995", by=OPERATOR)
    await repository.register_instance(instance())
    now = time.time()
    deltas = Deltas(retrieved_bytes=1234, retrieved_emails=5, removed_emails=2, connections=9, logins=4)
    deltas.latencies = _taken("command", COMMAND_SECONDS) | _taken("login", LOGIN_SECONDS)
    deltas.latencies[DAMAGED_UNIQUE_IDS] = 3
    exchange = Exchange(
        "pop3",
        counts_sequence=1,
        deltas=deltas,
        open_connections=2,
        load=0.25,
        session_rows=[
            SessionRow("s1", "pop3", "alice", "192.0.2.7:40000", now - 60, "TLSv1.3", 5120, 3, 2),
            SessionRow("s2", "pop3", None, "[2001:db8::1]:5", now + 60),
        ],
        logins=[Login("alice", "s1", "1", "192.0.2.7")],
    )
    await repository.note_vitals("pop3", vitals())
    assert (await repository.exchange(exchange)).logins == [LoginOutcome.OPENED]


async def metrics_of(repository: StateRepository, accept: str = "") -> httpx.Response:
    """Return what `/metrics` says, without a password."""
    async with api_client(repository, auth=None) as client:
        return await client.get("/metrics", headers={"Accept": accept})


def _taken(name: str, all_seconds: tuple[float, ...]) -> dict[str, int]:
    recorder = LatencyRecorder()
    for seconds in all_seconds:
        recorder.record(seconds)
    return recorder.take(name)
