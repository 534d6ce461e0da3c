"""What was it like at three: samples in the store, and what `/v1/history` says of them."""

import time
from collections.abc import Iterator
from typing import cast

import pytest
import redis

from state_store.credentials.attempts import RefusalReason
from state_store.history import RECORD, RINGS, History, Metric, Span
from state_store.latency import LatencyRecorder, refused_field
from state_store.records import Credential, Deltas, Exchange, Login
from state_store.redis import keys
from state_store.repository import StateRepository
from state_store.vitals import Vitals
from support.actors import OPERATOR
from support.api_client import api_client, failed_fields, problem
from support.peep_gateway_server import register


async def past(repository: StateRepository, seconds: int, step: int = 10) -> History:
    now = time.time()
    return await repository.history(Span.of(now - seconds, now + step, step, now))


def known(figures: list[float | None]) -> list[float]:
    return [figure for figure in figures if figure is not None]


def rewind(store: redis.Redis, seconds: int) -> None:
    """Let all samples be as if taken so long ago."""
    for ring in RINGS:
        key = f"{keys.HISTORY}{ring.step}"
        kept = cast(bytes, store.get(key) or b"")
        store.delete(key)
        for record in RECORD.iter_unpack(kept):
            at = record[0] - seconds * 1000
            place = at // 1000 // ring.step % ring.length
            if record[0]:
                store.setrange(key, place * RECORD.size, RECORD.pack(at, *record[1:]))


@pytest.fixture
def octets_of_the_store(redis_url: str) -> Iterator[redis.Redis]:
    """Give a connection that takes samples for octets."""
    with redis.Redis.from_url(redis_url) as plain:
        yield plain


async def test_a_sample_holds_the_figures_of_all_instances(repository: StateRepository) -> None:
    await register(repository, "a", "b")
    await repository.add_user("alice", Credential("no-hash", "1"), by=OPERATOR)
    recorder = LatencyRecorder()
    recorder.record(0.002)
    deltas = Deltas(7, 6, 5, 4, 3, recorder.take("command"))
    deltas.latencies |= {refused_field(reason): 2 for reason in RefusalReason}
    login = Login("alice", "s1", "1", "192.0.2.7")
    await repository.exchange(Exchange("a", 1, deltas, open_connections=2, load=0.25, logins=[login]))
    await repository.exchange(Exchange("b", 1, open_connections=1, load=0.5))
    await repository.note_vitals("b", Vitals(round_trip=0.0015, loop_lag=0.125))
    history = await past(repository, 10)
    assert {metric.value: known(history.values(metric)) for metric in Metric} == {
        "current_connections": [3],
        "logged_in_users": [1],
        "instances": [2],
        "load": [0.75],
        "store_seconds": [0.0015],
        "loop_lag_seconds": [0.125],
        "retrieved_bytes": [7],
        "retrieved_emails": [6],
        "removed_emails": [5],
        "historical_connections": [4],
        "historical_logins": [3],
        "refused_passwords": [2 * len(RefusalReason)],
        **{f"{name}_{share}_seconds": [] for name in ("command", "login") for share in ("p50", "p99")},
    }


async def test_all_instances_together_take_one_sample_a_step_and_coarser_ones_keep_the_largest(
    repository: StateRepository, octets_of_the_store: redis.Redis
) -> None:
    while not await two_samples_are_taken(repository, octets_of_the_store):
        octets_of_the_store.flushall()
    history = await past(repository, 60)
    assert known(history.values(Metric.CURRENT_CONNECTIONS)) == [5, 2]
    assert known(history.values(Metric.RETRIEVED_BYTES)) == [100, 401]
    kept = cast(bytes, octets_of_the_store.get(f"{keys.HISTORY}10"))
    first, second = sorted(record[0] for record in RECORD.iter_unpack(kept) if record[0])
    assert known(history.rates(Metric.RETRIEVED_BYTES)) == [round(301_000 / (second - first), 3)]
    hourly = await past(repository, 7 * 86_400, 3600)
    assert known(hourly.values(Metric.RETRIEVED_BYTES))[-1] == 401
    assert known(hourly.values(Metric.CURRENT_CONNECTIONS))[-1] in {5, 2}, (
        "2 where an hour began between them"
    )


async def two_samples_are_taken(repository: StateRepository, store: redis.Redis) -> bool:
    """Let both instances tell of themselves twice; return False where a step began between the two."""
    await register(repository, "a", "b")
    for opened, octets in ((5, 100), (2, 300)):
        step = step_of(store)
        await repository.exchange(Exchange("a", octets, Deltas(octets), open_connections=opened))
        await repository.note_vitals("a", Vitals())
        await repository.exchange(Exchange("a", octets + 1, Deltas(1), open_connections=9))
        await repository.note_vitals("b", Vitals())  # too soon for another sample
        if step_of(store) != step:
            return False
        rewind(store, 10)
    return True


def step_of(store: redis.Redis) -> int:
    """Return which step of the finest ring it is now."""
    seconds, _ = store.time()
    return int(seconds) // RINGS[0].step


async def test_an_instance_whose_lease_is_over_takes_no_sample(repository: StateRepository) -> None:
    await repository.note_vitals("gone", Vitals())
    assert known((await past(repository, 3600)).values(Metric.INSTANCES)) == []


async def test_all_of_the_history_is_bounded(
    repository: StateRepository, octets_of_the_store: redis.Redis
) -> None:
    await register(repository, "a")
    for ring in RINGS:  # as after a year
        octets_of_the_store.setrange(f"{keys.HISTORY}{ring.step}", ring.length * RECORD.size - 1, b"\0")
    await repository.note_vitals("a", Vitals())
    lengths = [octets_of_the_store.strlen(f"{keys.HISTORY}{ring.step}") for ring in RINGS]
    assert lengths == [ring.length * RECORD.size for ring in RINGS]
    memory = [octets_of_the_store.memory_usage(f"{keys.HISTORY}{ring.step}") for ring in RINGS]
    assert sum(octets or 0 for octets in memory) < 4e6, memory


# Over HTTP


async def test_history_is_shown_in_equal_steps(repository: StateRepository) -> None:
    await register(repository, "a")
    await repository.exchange(Exchange("a", 1, Deltas(1234), open_connections=2))
    await repository.note_vitals("a", Vitals())
    async with api_client(repository) as client:
        response = await client.get("/v1/history?metric=retrieved_bytes&metric=current_connections")
        everything = (await client.get("/v1/history")).json()
    shown = response.json()
    octets, connections = shown["series"]
    assert (shown["step_seconds"], 360 <= len(shown["times"]) <= 361) == (10, True)
    # It is of the last step, or of the one before if a step has begun since.
    assert (octets["metric"], octets["kind"], known(octets["values"][-2:])) == (
        "retrieved_bytes",
        "counter",
        [1234],
    )
    assert (connections["kind"], known(connections["values"]), connections["rates"]) == ("gauge", [2], None)
    assert len(octets["values"]) == len(octets["rates"]) == len(shown["times"])
    assert [series["metric"] for series in everything["series"]] == [metric.value for metric in Metric]


async def test_a_year_is_read_in_one_request(repository: StateRepository) -> None:
    now = time.time()
    query = f"from={now - 365 * 86_400:.0f}&to=2100-01-01T00:00:00Z"
    async with api_client(repository) as client:
        year = await client.get("/v1/history", params={"from": round(now - 365 * 86_400), "step": 3600})
        assert len(year.json()["times"]) in {8760, 8761}
        problem(await client.get(f"/v1/history?{query}&step=3600"), 422, "/docs#invalid-span")


@pytest.mark.parametrize("query", ["from=2100-01-01T00:00:00Z", "to=1970-01-01T00:00:00Z&from=1"])
async def test_a_span_that_ends_before_it_begins_is_refused(repository: StateRepository, query: str) -> None:
    async with api_client(repository) as client:
        problem(await client.get(f"/v1/history?{query}"), 422, "/docs#invalid-span")


async def test_what_is_no_metric_time_or_step_is_named(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        for query, field in (
            ("metric=passwords", "metric.0"),
            ("from=yesterday", "from"),
            ("from=2026-01-01T00:00:00", "from"),
            ("to=%00", "to"),
            ("step=0", "step"),
            ("step=1e99", "step"),
        ):
            assert set(failed_fields(await client.get(f"/v1/history?{query}"))) == {field}, query
