"""Users' records over a real store: exact over replicas and lost answers, bounded, and gone on demand."""

import asyncio
import time

import pytest
import redis

from state_store.credentials.attempts import RefusalReason
from state_store.instance.record_keeping import RecordKeeping
from state_store.records import Deltas, Exchange, Instance, Login, LoginOutcome, SessionRow
from state_store.redis import keys
from state_store.redis.scripting import MOST_NOTES_OCTETS
from state_store.repository import StateRepository
from state_store.repository.user_records import STRANGERS, TAKEN_SECONDS
from state_store.user_notes import Origin, UserNotes
from state_store.user_records import DAY_SECONDS, GROUPS, RecordText, Traffic, UserRecord, group_of
from support.actors import OPERATOR
from support.api_client import api_client
from support.kept_records import keep_records
from support.peep_gateway_server import add_users

HOME = Origin("192.0.2.7", "TLSv1.3", "USER")


class Noting:
    """An instance that notes and exchanges."""

    def __init__(self, repository: StateRepository, name: str = "i1") -> None:
        self.repository, self.name = repository, name
        self.notes = UserNotes()
        self.sequence = 0

    async def register(self) -> "Noting":
        await self.repository.register_instance(Instance(self.name, "host.example", 1, "1", 0.0))
        return self

    async def exchange(self, **more: object) -> Exchange:
        self.sequence += 1
        exchange = Exchange(self.name, self.sequence, Deltas(user_notes=self.notes.take()), **more)  # type: ignore[arg-type]
        await self.repository.exchange(exchange)
        return exchange

    async def keep(self) -> None:
        await self.repository.take_user_notes(self.name, from_octets=1)


async def record_of(repository: StateRepository, username: str) -> UserRecord:
    return (await repository.user_records([username])).records[username]


def groups_in(server: redis.Redis) -> set[str]:
    return {str(key).removeprefix(keys.USER_RECORDS) for key in server.keys(keys.USER_RECORDS + "*")}


async def test_a_record_is_exact_before_and_after_notes_were_taken(repository: StateRepository) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    one.notes.refusal("alice", RefusalReason.WRONG_PASSWORD, HOME)
    one.notes.traffic("alice", 100, 2)
    await one.exchange()
    before = await record_of(repository, "alice")
    assert before.today == before.week == before.month == Traffic(100, 2)
    (refused,) = before.refused
    assert (refused.reason, refused.count, refused.origin) == (RefusalReason.WRONG_PASSWORD, 1, HOME)
    await one.keep()
    assert await record_of(repository, "alice") == before


async def test_notes_of_an_exchange_that_is_sent_again_count_once(repository: StateRepository) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    one.notes.traffic("alice", 100, 2)
    lost = await one.exchange()
    await repository.exchange(lost)
    assert (await record_of(repository, "alice")).today == Traffic(100, 2)


async def test_replicas_that_take_notes_at_once_count_each_note_once(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    names = [f"user{number}" for number in range(30)]
    await add_users(repository, *names)
    instances = [await Noting(repository, name).register() for name in ("i1", "i2", "i3")]
    for _ in range(20):
        for one in instances:
            for name in names:
                one.notes.traffic(name, 7, 1)
            await one.exchange()

    async def take(one: Noting) -> None:
        while behind_the_scenes.exists(keys.USER_NOTES, keys.USER_NOTES_TAKEN):
            behind_the_scenes.delete(keys.USER_NOTES_TURN)  # as where a turn was too long
            await repository.take_user_notes(one.name, from_octets=1, groups_at_once=3)

    await asyncio.gather(*(take(one) for one in instances))
    records = (await repository.user_records(names)).records
    assert {record.today for record in records.values()} == {Traffic(20 * 3 * 7, 20 * 3)}


async def test_an_instance_waits_for_its_turn(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice")
    one, other = await Noting(repository, "i1").register(), await Noting(repository, "i2").register()
    one.notes.traffic("alice", 1, 1)
    await one.exchange()
    await one.keep()
    one.notes.traffic("alice", 1, 1)
    await one.exchange()
    await other.keep()
    assert behind_the_scenes.exists(keys.USER_NOTES)
    assert (await record_of(repository, "alice")).today == Traffic(2, 2)


async def test_names_that_nobody_has_leave_a_sum_and_no_record(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    for number in range(500):
        one.notes.refusal(f"guess{number}", RefusalReason.REPEATED, HOME)
        one.notes.refusal(f"guess{number}", RefusalReason.UNKNOWN_USER, HOME)
    await one.exchange()
    await one.keep()
    assert groups_in(behind_the_scenes) == {STRANGERS}
    strangers = await record_of(repository, STRANGERS)
    assert {one.reason: one.count for one in strangers.refused} == {
        RefusalReason.REPEATED: 500,
        RefusalReason.UNKNOWN_USER: 500,
    }
    assert {one.origin for one in strangers.refused} == {Origin("192.0.2.7", "TLSv1.3", "USER"), Origin()}


async def test_the_record_of_a_removed_user_goes_and_does_not_come_back(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    one.notes.login("alice", HOME, 1, 2)
    await one.exchange()
    await one.keep()
    one.notes.traffic("alice", 10, 1)
    await one.exchange()
    await repository.remove_user("alice", by=OPERATOR)
    assert behind_the_scenes.get(f"{keys.USER_RECORDS}{group_of('alice')}") == "\n"
    one.notes.traffic("alice", 3, 0)  # the session goes on
    await one.exchange()
    await one.keep()
    assert groups_in(behind_the_scenes) == {STRANGERS}
    await add_users(repository, "alice")
    assert await record_of(repository, "alice") == UserRecord()


async def test_what_is_older_than_the_days_of_the_setting_is_forgotten(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice", "bob")
    one = await Noting(repository).register()
    one.notes.login("alice", HOME, 1, 2)
    await one.exchange()
    await one.keep()
    keep_records(behind_the_scenes, {"bob": f"\t{3 * DAY_SECONDS} 192.0.2.7 - USER 1 2\t"})
    days = keeping(repository, days=365)
    for _ in range(GROUPS):
        await days.keep()
    assert groups_in(behind_the_scenes) == {str(group_of("alice"))}


async def test_records_that_are_switched_off_go(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    one.notes.login("alice", HOME, 1, 2)
    await one.exchange()
    await one.keep()
    await keeping(repository, days=0).keep()
    assert not behind_the_scenes.exists(keys.USER_NOTES)
    assert not groups_in(behind_the_scenes)


def keeping(repository: StateRepository, days: int) -> RecordKeeping:
    return RecordKeeping(repository, lambda: "i1", days)


async def test_who_holds_a_maildrop_is_told_to_operators(repository: StateRepository) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    credential = await repository.credential("alice")
    assert credential is not None
    login = Login("alice", "i1-1", credential.version, "198.51.100.4", maildir="m")
    row = SessionRow("i1-1", "i1", "alice", "198.51.100.4", 1_764_446_400.0)
    await one.exchange(logins=[login], session_rows=[row])
    wanted = login._replace(session_id="i1-2", address="192.0.2.7", maildir="")
    result = await repository.exchange(Exchange("i1", 9, logins=[wanted]))
    assert result.logins == [LoginOutcome.IN_USE]
    since = await repository.last_activity_id()
    holder = await repository.tell_refusal(wanted, RefusalReason.IN_USE)
    assert holder == "held by 198.51.100.4 since 2025-11-29T20:00:00Z (session i1-1)"
    linked = wanted._replace(username="bob", maildir="m")
    assert await repository.tell_refusal(linked, RefusalReason.IN_USE) == (
        "held by 198.51.100.4 as alice since 2025-11-29T20:00:00Z (session i1-1)"
    )
    activities, _ = await repository.activity_after(since)
    assert activities[0].details == {
        "username": "alice",
        "network": "192.0.2.7",
        "reason": "maildrop in use",
        "count": "1",
    }
    await one.exchange(releases=[("alice", "i1-1")])
    assert await repository.tell_refusal(wanted, RefusalReason.IN_USE) == ""


async def test_a_users_page_says_why_and_what_to_do(repository: StateRepository) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    one.notes.login("alice", HOME, 20, 614_400)
    one.notes.refusal("alice", RefusalReason.IN_USE, HOME, "by 198.51.100.4")
    one.notes.traffic("alice", 5120, 3)
    await one.exchange()
    async with api_client(repository) as client:
        shown = (await client.get("/v1/users/alice")).json()
    assert shown["password_scheme"] == "ARGON2ID"
    assert (shown["last_login"]["messages"], shown["last_login"]["tls"]) == (20, "TLSv1.3")
    (refusal,) = shown["refusals"]
    assert (refusal["reason"], refusal["count"], refusal["detail"]) == (
        "maildrop in use",
        1,
        "by 198.51.100.4",
    )
    assert "close it" in refusal["advice"]
    assert shown["today"] == shown["week"] == shown["month"] == {"octets": 5120, "messages": 3}
    assert shown["session"] is None


async def test_notes_wait_until_they_are_many_and_every_list_has_them_at_once(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice", "bob")
    one = await Noting(repository).register()
    one.notes.login("alice", HOME, 1, 2)
    await one.exchange()
    await repository.take_user_notes("i1")
    assert behind_the_scenes.exists(keys.USER_NOTES)
    alice, bob = await repository.listed_users("", 10)
    assert RecordText(alice.record).last_login_at > 0
    assert bob.record == ""
    assert await repository.every_user_record() == {"alice": alice.record, STRANGERS: ""}


async def test_notes_that_are_old_are_taken_though_they_are_few(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice")
    old = int(time.time()) - TAKEN_SECONDS
    behind_the_scenes.set(keys.USER_NOTES, f"\n={old}\nalice\tt 10 1")
    await repository.take_user_notes("i1")
    assert not behind_the_scenes.exists(keys.USER_NOTES, keys.USER_NOTES_TAKEN)
    assert (await record_of(repository, "alice")).week == Traffic(10, 1)


async def test_a_reader_counts_each_note_once_while_notes_are_taken(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"user{number}" for number in range(5)]
    await add_users(repository, *names)
    one = await Noting(repository).register()
    for name in names:
        one.notes.traffic(name, 7, 1)
    await one.exchange()
    script, steps = repository._client.script, 0

    async def look_before(name: str, *words: object) -> object:
        nonlocal steps
        if name == "keep_user_records":
            steps += 1
            records = (await repository.user_records(names)).records.values()
            assert {record.today for record in records} == {Traffic(7, 1)}
        return await script(name, *words)

    monkeypatch.setattr(repository._client, "script", look_before)
    await repository.take_user_notes("i1", from_octets=1, groups_at_once=1)
    assert steps == len(set(map(group_of, names)))


async def test_notes_that_nobody_takes_are_bounded(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    line = "alice\tt 1 0\n"
    old = "=1764446400\n" + line * (MOST_NOTES_OCTETS // len(line))
    behind_the_scenes.set(keys.USER_NOTES, old + "=1764446401\n" + line * 1000)
    one.notes.traffic("alice", 7, 1)
    await one.exchange()
    kept = str(behind_the_scenes.get(keys.USER_NOTES))
    assert kept.startswith("\n=1764446401\nalice\tt 1 0\n")
    assert kept.endswith("\nalice\tt 7 1")


async def test_a_login_under_a_name_that_was_removed_meanwhile_is_strangers_traffic(
    repository: StateRepository,
) -> None:
    one = await Noting(repository).register()
    one.notes.login("gone", HOME, 1, 2)
    one.notes.traffic("gone", 50, 1)
    await one.exchange()
    await one.keep()
    strangers = await record_of(repository, STRANGERS)
    assert strangers.last_login is None
    assert strangers.today == Traffic(50, 1)
