"""Users' records over a real store: exact over replicas and lost answers, bounded, and gone on demand."""

import asyncio

import redis

from state_store.credentials.attempts import RefusalReason
from state_store.instance.record_keeping import RecordKeeping
from state_store.records import Deltas, Exchange, Instance, Login, LoginOutcome, SessionRow
from state_store.redis import keys
from state_store.repository import StateRepository
from state_store.repository.user_records import STRANGERS
from state_store.user_notes import Origin, UserNotes
from state_store.user_records import DAY_SECONDS, Traffic, UserRecord
from support.actors import OPERATOR
from support.api_client import api_client
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
        while await self.repository.take_user_log(self.name):
            pass


async def record_of(repository: StateRepository, username: str) -> UserRecord:
    return (await repository.user_records([username])).records[username]


async def test_a_record_is_exact_before_and_after_the_log_was_taken(repository: StateRepository) -> None:
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


async def test_replicas_that_take_the_log_at_once_count_each_note_once(
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
        while behind_the_scenes.exists(keys.USER_LOG):
            behind_the_scenes.delete(keys.USER_LOG_TURN)  # as where a turn was too long
            await repository.take_user_log(one.name)

    await asyncio.gather(*(take(one) for one in instances))
    records = (await repository.user_records(names)).records
    assert {record.today for record in records.values()} == {Traffic(20 * 3 * 7, 20 * 3)}


async def test_an_instance_waits_for_its_turn(repository: StateRepository) -> None:
    await add_users(repository, "alice")
    one, other = await Noting(repository, "i1").register(), await Noting(repository, "i2").register()
    one.notes.traffic("alice", 1, 1)
    await one.exchange()
    assert await repository.take_user_log("i1")
    one.notes.traffic("alice", 1, 1)
    await one.exchange()
    assert not await repository.take_user_log(other.name)
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
    assert behind_the_scenes.hkeys(keys.USER_RECORDS) == [STRANGERS]
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
    assert not behind_the_scenes.hexists(keys.USER_RECORDS, "alice")
    one.notes.traffic("alice", 3, 0)  # the session goes on
    await one.exchange()
    await one.keep()
    assert behind_the_scenes.hkeys(keys.USER_RECORDS) == [STRANGERS]
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
    behind_the_scenes.hset(keys.USER_RECORDS, "bob", f"\t{3 * DAY_SECONDS} 192.0.2.7 - USER 1 2\t")
    await keeping(repository, days=365).keep()
    assert behind_the_scenes.hkeys(keys.USER_RECORDS) == ["alice"]


async def test_records_that_are_switched_off_go(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await add_users(repository, "alice")
    one = await Noting(repository).register()
    one.notes.login("alice", HOME, 1, 2)
    await one.exchange()
    await keeping(repository, days=0).keep()
    assert not behind_the_scenes.exists(keys.USER_LOG, keys.USER_RECORDS)


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
