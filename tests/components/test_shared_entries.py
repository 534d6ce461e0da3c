"""Logins and logouts that share an entry of the stream (D72): to readers each is an activity of its own."""

from itertools import pairwise
from typing import Any

import pytest
import redis

from state_store.activities import ACTIVITY_LENGTH, Activity, ActivityKind
from state_store.records import Credential, Exchange, Instance, Login
from state_store.redis import keys
from state_store.redis.scripting import ACTIVITIES_OF_AN_ENTRY, ACTIVITY_PAGE
from state_store.repository import StateRepository
from support.actors import OPERATOR

NAMES = ["alice", "bob", "carol"]
MANY = [f"u{number}" for number in range(2 * ACTIVITIES_OF_AN_ENTRY + 1)]


@pytest.fixture
async def store(repository: StateRepository) -> StateRepository:
    """Give a store with an instance and users."""
    await repository.register_instance(Instance("i1", "host.example", 42, "1.2.3", 1000.0))
    for name in (*NAMES, *MANY):
        await repository.add_user(name, Credential("no-hash", "1"), by=OPERATOR)
    return repository


async def log_in(store: StateRepository, names: list[str]) -> None:
    logins = [Login(name, f"s-{name}", "1", "192.0.2.1") for name in names]
    await store.exchange(Exchange("i1", 0, logins=logins))


async def log_out(store: StateRepository, names: list[str]) -> None:
    await store.exchange(Exchange("i1", 0, releases=[(name, f"s-{name}") for name in names]))


async def remembered(store: StateRepository, after: str = "0-0", limit: int = 9999) -> list[Activity]:
    found, is_gap = await store.activity_after(after, limit)
    assert not is_gap
    return found


def position(activity: Activity) -> tuple[int, ...]:
    return tuple(map(int, activity.activity_id.split("-")))


async def test_logins_and_logouts_of_an_exchange_share_an_entry_and_are_told_apart(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await log_in(store, NAMES)
    logins = [Login("u1", "s-u1", "1", "2001:db8::1")]
    await store.exchange(Exchange("i1", 0, releases=[("alice", "s-alice"), ("bob", "s-bob")], logins=logins))
    assert behind_the_scenes.xlen(keys.ACTIVITY) == 2
    about = [(one.kind, one.details) for one in await remembered(store)]
    came = [{"username": name, "session": f"s-{name}", "instance": "i1"} for name in (*NAMES, "u1")]
    assert about == [
        *((ActivityKind.LOGIN, {**who, "address": "192.0.2.1"}) for who in came[:3]),
        (ActivityKind.LOGOUT, came[0]),
        (ActivityKind.LOGOUT, came[1]),
        (ActivityKind.LOGIN, {**came[3], "address": "2001:db8::1"}),
    ]


async def test_ids_grow_over_entries_of_one_moment(store: StateRepository) -> None:
    for _ in range(5):
        await log_in(store, NAMES)
        await log_out(store, NAMES)
        await log_in(store, MANY)
        await log_out(store, MANY)
    found = await remembered(store)
    assert len(found) == 10 * (len(NAMES) + len(MANY))
    assert all(position(one) < position(other) for one, other in pairwise(found))
    assert await store.last_activity_id() == found[-1].activity_id


@pytest.mark.parametrize("limit", [1, 2, ACTIVITIES_OF_AN_ENTRY + 3, 9999])
async def test_reading_goes_on_after_any_activity_with_any_limit(store: StateRepository, limit: int) -> None:
    await log_in(store, NAMES)
    await log_in(store, MANY)
    await log_out(store, NAMES)
    found = await remembered(store)
    for number, activity in enumerate(found):
        following = found[number + 1 :][:limit]
        assert await remembered(store, activity.activity_id, limit) == following


async def test_a_limit_is_reached_over_many_entries(store: StateRepository) -> None:
    for _ in range(ACTIVITY_PAGE):
        await log_in(store, NAMES)
        await log_out(store, NAMES)
    found = await remembered(store)
    assert len(found) == 2 * ACTIVITY_PAGE * len(NAMES)
    for limit in (len(found) - 1, len(found), len(found) + 1):
        assert await remembered(store, limit=limit) == found[:limit]


async def test_who_is_behind_the_first_remembered_entry_has_missed_some(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await log_in(store, NAMES)
    await log_out(store, NAMES)
    found = await remembered(store)
    behind_the_scenes.xtrim(keys.ACTIVITY, maxlen=1, approximate=False)
    for missed in found[:3]:
        assert await store.activity_after(missed.activity_id) == (found[3:], True)
    assert await remembered(store, found[3].activity_id) == found[4:]


async def test_as_many_activities_as_before_are_remembered_at_least(store: StateRepository) -> None:
    start = await store.last_activity_id()
    for _ in range(ACTIVITY_LENGTH // 2 + 200):
        await log_in(store, NAMES[:1])
        await log_out(store, NAMES[:1])
    for _ in range(200):
        await log_in(store, NAMES)
        await log_out(store, NAMES)
    found, is_gap = await store.activity_after(start, 9999)
    assert is_gap
    assert len(found) >= ACTIVITY_LENGTH


async def test_the_dead_are_logged_out_in_few_entries(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await log_in(store, MANY)
    entries = behind_the_scenes.xlen(keys.ACTIVITY)
    await store.end_instance("i1")
    logouts = (await remembered(store))[len(MANY) :]
    assert sorted(one.details["username"] for one in logouts) == sorted(MANY)
    assert {one.kind for one in logouts} == {ActivityKind.LOGOUT}
    assert behind_the_scenes.xlen(keys.ACTIVITY) == 2 * entries == 6


# Beside a version that knows one activity an entry, during an upgrade


async def test_entries_of_an_older_version_are_read(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await log_in(store, NAMES)
    old = {"kind": "login", "username": "dora", "session": "s9", "instance": "i0", "address": "192.0.2.9"}
    fields: Any = dict(old)
    entry_id = behind_the_scenes.xadd(keys.ACTIVITY, fields)
    await log_out(store, NAMES)
    found = await remembered(store)
    assert [one.details["username"] for one in found] == [*NAMES, "dora", *NAMES]
    kind = old.pop("kind")
    assert found[3] == Activity(str(entry_id), ActivityKind(kind), found[3].at, old)
    assert await remembered(store, found[3].activity_id) == found[4:]


async def test_an_older_version_reads_the_first_activity_of_an_entry(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    """It takes `kind` from the fields, and all others as details."""
    await log_in(store, NAMES)
    entries: Any = behind_the_scenes.xrange(keys.ACTIVITY)
    ((entry_id, fields),) = entries
    first = (await remembered(store))[0]
    assert entry_id == first.activity_id
    assert ActivityKind(fields["kind"]) is first.kind
    assert first.details.items() <= fields.items()
