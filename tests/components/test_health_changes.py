"""Changes of health: noted once whoever watches, and shown over HTTP and as events."""

import asyncio
import functools

import pytest
import redis
from structlog.testing import capture_logs

from state_api import health_watch
from state_api.health_report import Check, current_checks
from state_api.health_watch import HealthWatch
from state_store.activities import ActivityKind
from state_store.errors import StoreUnavailable
from state_store.health import HEALTH_CHANGES_KEPT, NewHealthChange
from state_store.redis import keys
from state_store.repository import StateRepository
from support.api_client import api_client, problem
from support.api_server import api_server, listening
from support.busy_store import vitals
from support.peep_gateway_server import instance
from support.waiting import until

FAULT = "cannot be read: Stale file handle"
BAD = NewHealthChange("mail-disk", "mail-1", "ok", "critical", FAULT)


def watch_of(repository: StateRepository) -> HealthWatch:
    return HealthWatch(repository, functools.partial(current_checks, repository))


async def looks(*watches: HealthWatch) -> None:
    """Let each check twice, in turns."""
    for watch in watches * 2:
        await watch.check()


async def disk_changes(repository: StateRepository) -> list[tuple[str, str, str]]:
    """Return what is noted of the mail's disk, the oldest first."""
    changes = reversed(await repository.health_changes(0.0, 100))
    return [(one.state, one.subject, one.text) for one in changes if one.name == "mail-disk"]


async def test_several_processes_note_a_fault_and_its_end_once(busy: StateRepository) -> None:
    one, other = watch_of(busy), watch_of(busy)
    await looks(one, other)
    assert await disk_changes(busy) == []
    await busy.note_vitals("pop3", vitals(disk_fault="Stale file handle"))
    await one.check()
    assert await disk_changes(busy) == [], "one check is not enough"
    await looks(one, other)
    critical = ("critical", instance().host, FAULT)
    assert await disk_changes(busy) == [critical]
    await busy.note_vitals("pop3", vitals())
    await looks(one, other)
    assert [state for state, *_ in await disk_changes(busy)] == ["critical", "ok"]


async def test_another_process_goes_on_where_one_that_has_died_ended(
    busy: StateRepository, redis_url: str
) -> None:
    one, other = watch_of(busy), watch_of(busy)
    await busy.note_vitals("pop3", vitals(disk_fault="Stale file handle"))
    await looks(one)
    with redis.Redis.from_url(redis_url) as store:
        assert 0 < store.pttl(keys.HEALTH_WATCHER) <= 30_000
        store.delete(keys.HEALTH_WATCHER)  # as its end does
    await looks(other)
    assert len(await disk_changes(busy)) == 1, "it is noted already"
    await busy.note_vitals("pop3", vitals())
    await looks(one)
    assert len(await disk_changes(busy)) == 1, "the first one has no turn any more"
    await looks(other)
    assert [state for state, *_ in await disk_changes(busy)] == ["critical", "ok"]


async def test_a_process_whose_turn_is_over_notes_nothing(repository: StateRepository) -> None:
    assert await repository.watch_health("one") == {}
    assert await repository.watch_health("other") is None
    await repository.note_health("other", [BAD])
    assert await repository.health_changes(0.0, 9) == []


async def test_a_step_that_is_carried_out_again_notes_nothing_more(repository: StateRepository) -> None:
    await repository.watch_health("one")
    for _ in range(2):  # as after a lost answer
        await repository.note_health("one", [BAD])
    assert await repository.watch_health("one") == {"mail-disk mail-1": "critical"}
    assert len(await repository.health_changes(0.0, 9)) == 1


async def test_what_changes_together_is_one_change(repository: StateRepository) -> None:
    late = [
        NewHealthChange("instance", f"m {number}", "ok", "warning", f"late {number}") for number in range(300)
    ]
    await repository.watch_health("one")
    await repository.note_health("one", [*late, BAD])
    found = [(one.name, one.subject, one.text, one.count) for one in await repository.health_changes(0.0, 9)]
    assert found == [("mail-disk", "mail-1", FAULT, 1), ("instance", "m 0", "late 0", 300)]


async def test_the_oldest_changes_go(repository: StateRepository) -> None:
    await repository.watch_health("one")
    before = "ok"
    for number in range(HEALTH_CHANGES_KEPT + 5):
        state = ("critical", "warning")[number % 2]
        await repository.note_health("one", [BAD._replace(before=before, state=state, text=str(number))])
        before = state
    found = await repository.health_changes(0.0, HEALTH_CHANGES_KEPT * 2)
    assert (len(found), found[-1].text) == (HEALTH_CHANGES_KEPT, "5")


async def test_a_store_that_is_away_ends_no_watch(repository: StateRepository) -> None:
    is_away = True

    async def looking() -> list[Check]:
        if is_away:
            raise StoreUnavailable
        return await current_checks(repository)

    watch = HealthWatch(repository, looking)
    with pytest.raises(StoreUnavailable):
        await watch.check()
    is_away = False
    await looks(watch)
    found = await repository.health_changes(0.0, 9)
    assert ("instances", "critical") in [(one.name, one.state) for one in found]


async def test_changes_are_shown_since_a_time_the_newest_first(repository: StateRepository) -> None:
    await repository.watch_health("one")
    await repository.note_health("one", [BAD])
    await repository.note_health("one", [BAD._replace(before="critical", state="gone", text="not there")])
    async with api_client(repository) as client:
        all_of_them = (await client.get("/v1/health/changes")).json()["changes"]
        newest = (await client.get("/v1/health/changes?limit=1")).json()["changes"]
        later = (await client.get("/v1/health/changes?since=4000000000")).json()["changes"]
        problem(await client.get("/v1/health/changes?limit=0"), 422, "/docs#invalid-request")
    assert all_of_them[1].pop("at") <= all_of_them[0].pop("at")
    shown = {"name": "mail-disk", "subject": "mail-1", "count": 1}
    assert all_of_them == [
        {**shown, "state": "gone", "text": "not there"},
        {**shown, "state": "critical", "text": FAULT},
    ]
    assert [one["state"] for one in newest] == ["gone"]
    assert later == []


async def test_a_change_is_an_event(repository: StateRepository) -> None:
    async with api_server(repository) as server, listening(server.client) as reader:
        await reader.until("counters")
        await repository.watch_health("one")
        await repository.note_health("one", [BAD])
        event = await reader.until("health")
    assert event.data.pop("at").endswith("Z")
    assert event.data == {
        "name": "mail-disk", "subject": "mail-1", "state": "critical", "text": FAULT, "count": "1"
    }  # fmt: skip


async def test_an_activity_that_only_a_later_version_knows_is_left_out(
    repository: StateRepository, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as store:
        store.xadd(keys.ACTIVITY, {"kind": "eclipse", "of": "the moon"})
    await repository.watch_health("one")
    await repository.note_health("one", [BAD])
    activities, is_gap = await repository.activity_after("0-0")
    assert ([one.kind for one in activities], is_gap) == ([ActivityKind.HEALTH], False)


async def test_what_cannot_be_read_ends_no_watch(
    busy: StateRepository, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_watch, "CHECK_SECONDS", 0.01)
    await busy.note_vitals("pop3", vitals(disk_fault="Stale file handle"))
    with redis.Redis.from_url(redis_url) as store, capture_logs() as events:
        store.hset(keys.SETTINGS, "timeout_seconds", "soon")
        watching = asyncio.create_task(watch_of(busy).run())
        await until(lambda: any(event["event"] == "bug" for event in events))
        store.hdel(keys.SETTINGS, "timeout_seconds")
        await until(lambda: bool(store.exists(keys.HEALTH_CHANGES)))
        watching.cancel()
    assert len(await disk_changes(busy)) == 1
