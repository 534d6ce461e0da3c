"""`/v1/events` of the real program over a real Redis that may go away."""

import asyncio
from pathlib import Path

import httpx
import pytest

from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_process import END_SECONDS, RunningApi, running_api
from support.api_server import listening
from support.redis_server import RedisServer


async def set_timeouts(client: httpx.AsyncClient, *values: int) -> None:
    """Make something happen for each value."""
    for value in values:
        assert (
            await client.patch("/v1/settings?confirm=true", json={"timeout_seconds": value})
        ).status_code == 200


async def until_served(api: RunningApi) -> None:
    """Ask again and again until the store answers."""
    async with asyncio.timeout(END_SECONDS):
        while (await api.client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.02)


async def test_sigterm_ends_streams_and_process_long_before_requests_are_cut_off(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        running_api(redis_url, tmp_path, PEEP_DRAIN_SECONDS=str(10 * END_SECONDS)) as api,
        listening(api.client) as reader,
    ):
        await reader.until("counters")
        api.process.terminate()
        await reader.to_the_end()
        assert await api.exit_code() == 0
        assert '"path": "/v1/events"' in api.log()


async def test_what_happens_between_two_replicas_is_told_by_the_other_one(
    redis_url: str, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    async with running_api(redis_url, folders[0]) as one, running_api(redis_url, folders[1]) as other:
        async with listening(one.client) as reader:
            await reader.until("counters")
            await set_timeouts(other.client, 1)
            assert (await reader.until("setting")).data["value"] == "1"
        await set_timeouts(one.client, 2, 3)
        async with listening(other.client, last_event_id=reader.last_event_id) as again:
            await set_timeouts(one.client, 4)
            told = [(await again.until("setting", "gap")).data["value"] for _ in range(3)]
    assert told == ["2", "3", "4"]


async def test_after_a_thousand_events_of_absence_nothing_is_missed(redis_url: str, tmp_path: Path) -> None:
    async with running_api(redis_url, tmp_path) as api:
        async with listening(api.client) as reader:
            await reader.next()
        repository = StateRepository(redis_url)
        values = range(1, 501)
        for value in values:
            await repository.change_settings(by=OPERATOR, timeout_seconds=value, max_connections=value)
        await repository.close()
        async with listening(api.client, last_event_id=reader.last_event_id) as again:
            told = [(await again.until("setting", "gap")).data for _ in range(1000)]
    assert sorted(int(data["value"]) for data in told) == sorted([*values, *values])


@pytest.mark.parametrize("outage", ["killed", "silent"])
async def test_an_outage_is_told_when_it_begins_and_ends_and_nothing_is_missed(
    redis_server: RedisServer, tmp_path: Path, outage: str
) -> None:
    async with running_api(redis_server.url, tmp_path) as api, listening(api.client) as reader:
        await reader.until("counters")
        await set_timeouts(api.client, 1)  # the stream may not have seen this when the store goes
        redis_server.kill() if outage == "killed" else redis_server.pause()
        told = [await reader.until("store", "setting")]
        while told[-1].name != "store":
            told.append(await reader.until("store", "setting"))
        assert (await api.client.get("/v1/events")).status_code == 503
        redis_server.start() if outage == "killed" else redis_server.resume()
        await until_served(api)
        await set_timeouts(api.client, 2)
        while told[-1].name != "setting" or told[-1].data["value"] != "2":
            told.append(await reader.until("store", "setting", "gap"))
        await reader.until("counters")
    assert [event.data["value"] for event in told if event.name == "setting"] == ["1", "2"]
    assert [event.data["up"] for event in told if event.name == "store"] == [False, True]


async def test_a_store_that_lost_everything_is_a_gap_and_ends_what_its_administrators_opened(
    redis_url: str, shared_redis_server: RedisServer, tmp_path: Path
) -> None:
    async with running_api(redis_url, tmp_path) as api, listening(api.client) as reader:
        await set_timeouts(api.client, 1)
        await reader.until("setting")
        shared_redis_server.flush()
        await reader.until("gap")
        assert (await reader.next()).event_id == "0-0"
        await reader.to_the_end()
