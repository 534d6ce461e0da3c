"""Suspended users, banned and exempt networks: what the store does with them."""

import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
import redis

from state_store.activities import ActivityKind
from state_store.audit import Actor, Door, Wanted
from state_store.errors import UnknownRefusal
from state_store.records import (
    Added,
    Credential,
    Exchange,
    Instance,
    Login,
    LoginOutcome,
    SessionRow,
)
from state_store.redis import keys
from state_store.refusals import (
    MOST_REFUSALS,
    REFUSALS_A_PAGE,
    NewRefusal,
    RefusalCounts,
    RefusalKind,
    RefusalOutcome,
    refusal_id,
)
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.patience import no_patience_with_instances

CREDENTIAL = Credential("$argon2id$one", "v1", "verifier")
IMPORTED = Credential("{SHA512-CRYPT,8192}$6$salt$hash", "v7")
ALICE = NewRefusal(RefusalKind.SUSPEND, "alice", "the bill is not paid")


@pytest.fixture
async def store(repository: StateRepository) -> StateRepository:
    """Give a store with a user."""
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    return repository


async def refuse(store: StateRepository, *new: NewRefusal) -> list[RefusalOutcome]:
    return (await store.refuse(new, by=OPERATOR)).outcomes


async def login_with(store: StateRepository, version: str) -> LoginOutcome:
    """Let an instance log in that lives as long as this takes: it would have to obey changes."""
    await store.register_instance(Instance("one", "host.example", 42, "1.2.3", 1000.0))
    login = Login("alice", "s1", version, "192.0.2.1")
    (outcome,) = (await store.exchange(Exchange("one", 1, logins=[login]))).logins
    await store.end_instance("one")
    return outcome


def end_now(behind_the_scenes: redis.Redis, kind: RefusalKind, subject: str) -> None:
    """Let the time of a refusal be over."""
    behind_the_scenes.zadd(keys.REFUSAL_ENDS, {refusal_id(kind, subject): 1})


async def test_suspended_user_gets_no_maildrop_until_it_is_lifted(store: StateRepository) -> None:
    assert await refuse(store, ALICE) == [RefusalOutcome.SET]
    assert await login_with(store, "v1") is LoginOutcome.CREDENTIAL_CHANGED
    found = await store.suspension("alice", "v1")
    assert found is not None
    assert (found.reason, found.by, found.until) == ("the bill is not paid", "operator", 0)
    assert await store.suspension("alice", "v0") is None, "a password that has been changed meanwhile"
    credential = await store.credential("alice")
    assert credential == Credential("$argon2id$one", "v1", "verifier", is_suspended=True)
    await store.lift_suspension("alice", by=OPERATOR)
    assert await store.credential("alice") == CREDENTIAL
    assert await store.suspension("alice") is None
    assert await login_with(store, "v1") is LoginOutcome.OPENED


async def test_suspension_outlives_new_passwords_imports_and_the_user(store: StateRepository) -> None:
    await refuse(store, ALICE)
    await store.set_credential("alice", Credential("$argon2id$two", "v2"), by=OPERATOR)
    assert await login_with(store, "v2") is LoginOutcome.CREDENTIAL_CHANGED
    assert await store.add_users([("alice", IMPORTED)], update=True, by=OPERATOR) == [Added.UPDATED]
    assert await store.add_users([("alice", IMPORTED)], by=OPERATOR) == [Added.ADDED], (
        "the same again is a retry"
    )
    assert (await store.hash_counts()).imported == {"SHA512-CRYPT,8192": 1}
    await store.renew_credential("alice", Credential("$argon2id$three", "v7"))
    assert (await store.hash_counts()).imported == {}
    assert await login_with(store, "v7") is LoginOutcome.CREDENTIAL_CHANGED
    await store.remove_user("alice", by=OPERATOR)
    await store.add_user("alice", CREDENTIAL, by=OPERATOR)
    await store.add_user("alice", CREDENTIAL, by=OPERATOR)
    assert await login_with(store, "v1") is LoginOutcome.CREDENTIAL_CHANGED
    assert await store.suspension("alice", "v1") is not None


async def test_suspension_ends_by_itself_though_nobody_looks(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    before = await store.last_activity_id()
    await refuse(store, NewRefusal(RefusalKind.SUSPEND, "alice", until=time.time() + 3600))
    assert await store.suspension("alice", "v1") is not None
    end_now(behind_the_scenes, RefusalKind.SUSPEND, "alice")
    # What a login asks for once its password is right.
    assert await store.suspension("alice", "v1") is None
    assert await login_with(store, "v1") is LoginOutcome.OPENED
    activities, _ = await store.activity_after(before)
    told = [one.details["action"] for one in activities if one.kind is ActivityKind.REFUSAL]
    assert told == ["suspend", "end"]


async def test_what_cannot_be_set_is_said_of_each(store: StateRepository) -> None:
    outcomes = await refuse(
        store,
        NewRefusal(RefusalKind.SUSPEND, "nobody"),
        NewRefusal(RefusalKind.BAN, "192.0.2.0/24", until=time.time() - 1),
        NewRefusal(RefusalKind.BAN, "198.51.100.7"),
    )
    assert outcomes == [RefusalOutcome.UNKNOWN_USER, RefusalOutcome.PAST, RefusalOutcome.SET]
    page = await store.refusals(10)
    assert [(one.kind, one.subject) for one in page.refusals] == [(RefusalKind.BAN, "198.51.100.7")]
    with pytest.raises(UnknownRefusal):
        await store.lift_suspension("alice", by=OPERATOR)


async def test_user_of_the_old_server_is_suspended_before_the_mail_is_here(store: StateRepository) -> None:
    await store.announce_source("old.example.org:995", by=OPERATOR)
    assert await refuse(store, NewRefusal(RefusalKind.SUSPEND, "bob", "left the company")) == [
        RefusalOutcome.SET
    ]
    await store.add_user("bob", CREDENTIAL, by=OPERATOR)
    assert (await store.credentials(["bob"]))[0] == Credential(
        "$argon2id$one", "v1", "verifier", is_suspended=True
    )


async def test_only_so_many_are_kept_and_each_can_be_changed_then(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    bans = [NewRefusal(RefusalKind.BAN, f"10.0.{one // 256}.{one % 256}") for one in range(MOST_REFUSALS)]
    assert set(await refuse(store, *bans[:100])) == {RefusalOutcome.SET}
    # As many more behind the scenes: each as the first one is kept.
    row = str(behind_the_scenes.hget(keys.REFUSALS, refusal_id(RefusalKind.BAN, "10.0.0.0")))
    others = [ban.subject for ban in bans[100:-1]]
    rows: dict[Any, Any] = {
        refusal_id(RefusalKind.BAN, one): row.replace("10.0.0.0", one, 1) for one in others
    }
    behind_the_scenes.hset(keys.REFUSALS, mapping=rows)
    behind_the_scenes.zadd(keys.REFUSAL_NAMES, {f"ban {one}": 0 for one in others})
    assert await refuse(store, bans[-1]) == [RefusalOutcome.SET]
    changed = NewRefusal(RefusalKind.BAN, "10.0.0.0", "another reason")
    assert await refuse(store, ALICE, changed) == [RefusalOutcome.FULL, RefusalOutcome.SET]
    assert await store.refusal_counts() == RefusalCounts(0, MOST_REFUSALS, 0)
    rules, sessions = await store.refused_networks("one")
    assert len({rule.network for rule in rules}) == MOST_REFUSALS
    assert not sessions


async def test_pages_are_sorted_and_hold_each_refusal_once(store: StateRepository) -> None:
    await refuse(
        store,
        NewRefusal(RefusalKind.EXEMPT, "203.0.113.0/24", "the office"),
        ALICE,
        *(NewRefusal(RefusalKind.BAN, f"192.0.2.{one}", "guesses" if one % 2 else "") for one in range(5)),
    )
    found, after = [], ""
    while True:
        page = await store.refusals(2, after=after)
        found += [f"{one.kind.value} {one.subject}" for one in page.refusals]
        after = page.next_after
        if not after:
            break
    assert found == [*(f"ban 192.0.2.{one}" for one in range(5)), "exempt 203.0.113.0/24", "suspend alice"]
    assert page.counts == RefusalCounts(suspended=1, banned=5, exempt=1)
    odd = await store.refusals(9, kind=RefusalKind.BAN, text="guesses", after="ban 192.0.2.1")
    assert [one.subject for one in odd.refusals] == ["192.0.2.3"]
    assert [one.subject for one in (await store.refusals(9, text="lic")).refusals] == ["alice"]
    for kind_or_time in ("ban", "\n1"):
        assert (await store.refusals(9, text=kind_or_time)).refusals == []


async def test_a_refusal_replaces_the_one_before_it_and_the_same_again_changes_nothing(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await refuse(store, ALICE)
    settings = await store.settings()
    await refuse(store, ALICE)
    assert await store.settings() == settings
    await refuse(store, NewRefusal(RefusalKind.SUSPEND, "alice", "gone", until=4_000_000_000))
    (only,) = (await store.refusals(9)).refusals
    assert (only.reason, only.until) == ("gone", 4_000_000_000)
    someone = Actor("eve\nx", Door.HTTP, "192.0.2.9", "tool")
    await store.lift_refusal(only.refusal_id, by=someone)
    assert (await store.settings()).version == settings.version, "the settings' own version is another"
    stream: Any = behind_the_scenes.xrange(keys.AUDIT)
    entries = [fields for _, fields in stream[1:]]  # the first one is alice's
    told = [tuple(fields[name] for name in ("action", "object", "old", "new")) for fields in entries]
    assert told == [
        ("user.suspend", "alice", "", "the bill is not paid"),
        ("user.suspend", "alice", "the bill is not paid", "gone (until 2096-10-02T07:06:40+00:00)"),
        ("refusal.lift", "suspend alice", "gone (until 2096-10-02T07:06:40+00:00)", ""),
    ]
    assert [fields["token"] for fields in entries] == ["", "", "tool"]


async def test_the_audit_tells_an_end_that_alone_is_changed(store: StateRepository) -> None:
    ends = [
        datetime.fromisoformat(f"{day}+00:00")
        for day in (
            "2096-02-29T23:59:59",
            "2096-03-01T00:00:00",
            "2096-12-31T12:30:05",
            "2097-01-01T00:00:00",
        )
    ]
    ends += [
        datetime.fromisoformat(f"{day}T01:02:03+00:00") for day in ("2100-02-28", "2100-03-01", "2400-02-29")
    ]
    ends.append(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    for end in (*ends, None):
        until = end.timestamp() if end else 0.0
        await refuse(store, NewRefusal(RefusalKind.BAN, "192.0.2.7", until=until))
    acts = [act async for act in store.all_acts(Wanted(action="network.ban"))]
    shown = [f"(until {end.isoformat()})" for end in ends]
    assert [(act.old, act.new) for act in acts] == list(pairwise(["", *shown, ""]))


async def test_an_exemption_wins_over_a_ban_of_an_earlier_step_of_one_request(
    store: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state_store.repository.refusals.REFUSALS_A_STEP", 1)
    ban = NewRefusal(RefusalKind.BAN, "192.0.2.0/24")
    past = NewRefusal(RefusalKind.BAN, "198.51.100.0/24", until=1.0)
    exempt = NewRefusal(RefusalKind.EXEMPT, "192.0.2.7")
    assert await refuse(store, past, ban, exempt) == [
        RefusalOutcome.PAST,
        RefusalOutcome.SET,
        RefusalOutcome.SET,
    ]
    acts = [act.action async for act in store.all_acts(Wanted(action="network"))]
    assert acts == ["network.exempt", "network.ban"]


async def test_an_instance_is_told_which_of_its_sessions_are_suspended(store: StateRepository) -> None:
    for instance_id in ("one", "two"):
        await store.register_instance(Instance(instance_id, "host.example", 42, "1.2.3", 1000.0))
    row = SessionRow("s1", "one", "alice", "192.0.2.1", 1000.0)
    login = Login("alice", "s1", "v1", "192.0.2.1", maildir="m1")
    await store.exchange(Exchange("one", 1, logins=[login], session_rows=[row]))
    new = [ALICE, NewRefusal(RefusalKind.BAN, "2001:db8::/32", "x")]
    with no_patience_with_instances():
        set_at_once = await store.refuse(new, by=OPERATOR)
    assert not set_at_once.is_obeyed, "these instances make no exchange"
    rules, sessions = await store.refused_networks("one")
    assert [(rule.kind, rule.network, rule.reason) for rule in rules] == [
        (RefusalKind.BAN, "2001:db8::/32", "x")
    ]
    assert sessions == {"s1": "the bill is not paid"}
    assert (await store.refused_networks("two"))[1] == {}


async def test_instances_of_an_earlier_version_are_named_as_they_let_everybody_in(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    for instance_id, version in (("old", "0.0.9"), ("too", "0.0.9"), ("new", "0.1.0")):
        await store.register_instance(Instance(instance_id, "mail-1", 42, version, 1000.0))
    for instance_id in ("old", "too"):  # as that version registers them
        behind_the_scenes.hdel(f"{keys.INSTANCE}{instance_id}", "knows_refusals")
    for instance_id in ("old", "too", "new"):
        await store.exchange(Exchange(instance_id, 1, settings_version=1000))
    with no_patience_with_instances():
        done = await store.refuse([ALICE], by=OPERATOR)
    assert (done.outcomes, done.ignorant) == ([RefusalOutcome.SET], ["mail-1 (version 0.0.9)"])
    assert not done.is_obeyed, "they take note of the version, and of nothing else"
    knows = {one.instance.instance_id: one.instance.knows_refusals for one in await store.instances()}
    assert knows == {"old": 0, "too": 0, "new": 1}


async def test_a_mark_without_a_suspension_keeps_nobody_out_for_ever(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await refuse(store, ALICE)
    behind_the_scenes.delete(keys.REFUSALS, keys.REFUSAL_NAMES, keys.REFUSAL_ENDS)
    assert await store.suspension("alice", "v1") is None
    assert await login_with(store, "v1") is LoginOutcome.OPENED


async def test_many_that_end_together_hold_redis_up_a_hundred_at_a_time_and_let_each_user_in_at_once(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    names = [f"user{number}" for number in range(3 * REFUSALS_A_PAGE)]
    users = [(name, Credential("$argon2id$one", f"v-{name}")) for name in names]
    await repository.add_users(users, by=OPERATOR)
    new = [NewRefusal(RefusalKind.SUSPEND, name, "for an hour", 4e9) for name in names]
    await repository.refuse(new, by=OPERATOR)
    behind_the_scenes.zadd(
        keys.REFUSAL_ENDS,
        {refusal_id(RefusalKind.SUSPEND, name): number for number, name in enumerate(names, start=1)},
    )
    assert await repository.suspension("nobody") is None
    assert behind_the_scenes.zcard(keys.REFUSAL_ENDS) == 2 * REFUSALS_A_PAGE
    assert await repository.suspension(names[-1]) is None
    last = await repository.credential(names[-1])
    assert last is not None
    assert not last.is_suspended
    assert (await repository.refusals(10)).refusals == []
