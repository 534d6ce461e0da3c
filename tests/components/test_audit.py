"""The audit in the store: every act that changes something is one entry, whoever asks for it how often."""

import asyncio
import inspect
import re
import time
from collections import Counter
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
import redis

from state_store.audit import MOST_SIGN_INS, Actor, Door, Wanted, on_this_machine
from state_store.credentials.noted_sign_ins import NotedSignIns
from state_store.errors import ChangedTooOften, NotUndoable, SettingsChanged, UnknownUser
from state_store.redis import keys
from state_store.redis.client import RedisClient
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.acts import CASES, CREDENTIAL, OTHER, ROOT, Case, actions, with_alice, with_ann

WRITE_FOR_NO_ADMINISTRATOR = {
    # services by themselves
    "answer_proposal", "attend", "deployment_secret", "end_instance", "examine_mail_directory", "exchange",
    "leave", "_keep", "note_health", "note_token_use", "note_vitals", "ping", "register_instance",
    "take_user_notes", "forget_all_user_records", "forget_user_records", "watch_health",
    # for a user who logs in
    "begin_attempt", "begin_move", "end_attempt", "end_move", "note_move",
    # readers that remove what is over
    "moves", "slow_downs", "suspension",
}  # fmt: skip
"""The methods that write without an entry in the audit."""

WRITES = re.compile(
    r"""['"](SET|SETNX|SETRANGE|APPEND|HSET|HSETNX|HDEL|HINCRBY|DEL|UNLINK|ZADD|ZREM\w*|SADD|SREM|XADD|XDEL"""
    r"""|XTRIM|INCR|INCRBY|LPUSH|RPUSH|LREM|LTRIM|PUBLISH|P?EXPIRE)['"]"""
)
SCRIPTS = resources.files("state_store.redis") / "scripts"


def writes(method: Callable[..., object]) -> bool:
    """Return whether a method of the repository sends a command that writes, or a script that does."""
    source = inspect.getsource(method)
    scripts = re.findall(r"""script\(\s*"(\w+)\"""", source)
    return any(WRITES.search(text) for text in [source, *(script_text(name) for name in scripts)])


def script_text(name: str) -> str:
    return (SCRIPTS / f"{name}.lua").read_text("utf-8")


@pytest.fixture
def _carried_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every script carried out twice, as after an answer that was lost."""
    once = RedisClient.send

    def send(self: RedisClient, *words: Any) -> "asyncio.Future[Any]":
        if words[0] == "EVALSHA":
            once(self, *words).add_done_callback(lambda answer: answer.exception())
        return once(self, *words)

    monkeypatch.setattr(RedisClient, "send", send)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.action}-{case.object}")
async def test_each_act_is_one_entry(case: Case, repository: StateRepository) -> None:
    await case.before(repository)
    before = len(await actions(repository))
    began = time.time()
    await case.act(repository)
    *_, act = [act async for act in repository.all_acts(Wanted())]
    assert len(await actions(repository)) == before + 1
    assert (act.by, act.action, act.object, act.old, act.new) == (
        ROOT,
        case.action,
        case.object,
        case.old,
        case.new,
    )
    assert began - 1 < act.at < time.time() + 1
    assert await repository.act(act.act_id) == act


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.action}-{case.object}")
@pytest.mark.usefixtures("_carried_out_twice")
async def test_an_act_that_is_repeated_after_a_lost_answer_is_one_entry(
    case: Case, repository: StateRepository
) -> None:
    await case.before(repository)
    before = len(await actions(repository))
    await case.act(repository)
    assert len(await actions(repository)) == before + 1


def test_every_method_that_changes_something_is_told_by_whom_and_is_walked_here() -> None:
    methods = dict(inspect.getmembers(StateRepository, inspect.isfunction))
    told = {name for name, method in methods.items() if "by" in inspect.signature(method).parameters}
    untold = {name for name, method in methods.items() if name not in told and writes(method)}
    assert untold == WRITE_FOR_NO_ADMINISTRATOR
    walked = "".join(inspect.getsource(case.act) for case in CASES)
    unwalked = {name for name in told if not name.startswith("_") and f".{name}(" not in walked}
    assert unwalked == {"undo", "close_sessions"}  # they have tests of their own


async def test_what_changes_nothing_is_no_entry(repository: StateRepository) -> None:
    await repository.change_settings(by=ROOT, timeout_seconds=600)
    await with_alice(repository)
    await repository.add_users([("alice", OTHER), ("bob", OTHER)], by=ROOT, is_trial=True)
    with pytest.raises(UnknownUser):
        await repository.remove_user("nobody", by=ROOT)
    await repository.accept(by=ROOT)
    assert await actions(repository) == []


async def test_sign_ins_of_one_administrator_are_one_entry_an_hour_and_those_of_the_page_one_each(
    repository: StateRepository,
) -> None:
    noted = NotedSignIns(repository)
    for _ in range(3):
        await noted.note(ROOT)
        await NotedSignIns(repository).note(ROOT)  # another process
    await noted.note(Actor("root", Door.PEEP, "192.0.2.7"))
    for _ in range(2):
        await noted.note(Actor("root", Door.DASHBOARD, "192.0.2.7"))
    doors = [act.by.door async for act in repository.all_acts(Wanted(action="administrator.sign-in"))]
    assert doors == [Door.HTTP, Door.PEEP, Door.DASHBOARD, Door.DASHBOARD]


async def test_who_may_only_read_cannot_push_acts_out_by_changing_the_own_password(
    repository: StateRepository,
) -> None:
    await with_ann(repository)
    ann = Actor("ann", Door.DASHBOARD, "192.0.2.9")
    for number in range(MOST_SIGN_INS):
        await repository.set_administrator_password("ann", f"hash{number}", by=ann)
    with pytest.raises(ChangedTooOften):
        await repository.set_administrator_password("ann", "one more", by=ann)
    await repository.set_administrator_password("ann", "by another", by=ROOT)
    assert Counter(await actions(repository))["administrator.password"] == MOST_SIGN_INS + 1


async def test_who_may_only_read_cannot_push_acts_out_by_signing_in(repository: StateRepository) -> None:
    for number in range(2 * MOST_SIGN_INS):
        reader = Actor("reader", Door.DASHBOARD, f"192.0.2.{number}")
        await repository.note_sign_in(by=reader)
        await repository.end_sign_in(f"sign-in {number}", 60, by=reader)
        await repository.note_sign_in(by=Actor("reader", Door.HTTP, f"2001:db8::{number}"))
        await repository.note_sign_in(by=Actor("reader", Door.HTTP, f"2001:db8:0:{number}::1", "scraper"))
    found = Counter([(act.by.door, act.action) async for act in repository.all_acts(Wanted())])
    assert found == {
        (Door.DASHBOARD, "administrator.sign-in"): MOST_SIGN_INS,
        (Door.DASHBOARD, "administrator.sign-out"): MOST_SIGN_INS,
        (Door.HTTP, "administrator.sign-in"): 1 + MOST_SIGN_INS,
    }


async def test_strangers_cannot_fill_the_audit(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    stranger = Actor("", Door.HTTP, "198.51.100.1")
    for _ in range(50):
        await repository.note_refused_sign_in(by=stranger)
    behind_the_scenes.delete(keys.REFUSED_SIGN_INS_NOTED)  # an hour later
    await repository.note_refused_sign_in(by=stranger)
    assert [act.new async for act in repository.all_acts(Wanted())] == ["1", "50"]


async def test_only_so_many_and_only_so_old_entries_are_kept(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    old = f"{round((time.time() - 8 * 86_400) * 1000)}-0"
    fields = ("who", "door", "address", "token", "action", "object", "old", "new")
    behind_the_scenes.xadd(keys.AUDIT, dict.fromkeys(fields, "http"), id=old)
    await repository.keep_audit(100, 7, by=ROOT)
    assert await actions(repository) == []
    for number in range(150):
        await repository.add_user(f"u{number}", CREDENTIAL, by=ROOT)
    kept = [act.object async for act in repository.all_acts(Wanted())]
    assert kept == [f"u{number}" for number in range(50, 150)]


@pytest.fixture
async def filled(repository: StateRepository) -> StateRepository:
    """Give a store with 2,500 entries, of which those of eve are rare."""
    for first in range(0, 2500, 100):
        await asyncio.gather(
            *(
                repository.add_user(f"u{number}", CREDENTIAL, by=ROOT if number % 1000 else OPERATOR)
                for number in range(first, first + 100)
            )
        )
    return repository


async def test_pages_in_both_directions_hold_every_entry_that_is_wanted_once(filled: StateRepository) -> None:
    rare = Wanted(who=OPERATOR.name)
    first = await filled.acts_before("", 2, rare)
    second = await filled.acts_before(first.next_id, 2, rare)
    assert [act.object for act in (*first.acts, *second.acts)] == ["u2000", "u1000", "u0"]
    assert second.next_id == ""
    page, seen = await filled.acts_after("", 700, Wanted()), []
    while page.acts:
        seen += [act.object for act in page.acts]
        page = await filled.acts_after(page.next_id, 700, Wanted())
    assert sorted(seen) == sorted(f"u{number}" for number in range(2500))
    await filled.remove_user("u7", by=ROOT)
    assert [act.object for act in (await filled.acts_after(page.next_id, 700, Wanted())).acts] == ["u7"]


async def test_filters_go_together(repository: StateRepository) -> None:
    await repository.add_users([("alice", CREDENTIAL), ("bob", CREDENTIAL)], by=ROOT)
    await repository.remove_user("bob", by=OPERATOR)
    await repository.change_settings(by=ROOT, max_connections=15)
    assert await actions(repository, Wanted(object="bob")) == ["user.add", "user.remove"]
    assert await actions(repository, Wanted(object="bo")) == []
    assert await actions(repository, Wanted(action="user")) == ["user.add", "user.remove"]
    assert await actions(repository, Wanted(action="user.add", who="operator")) == []
    assert await actions(repository, Wanted(door="machine")) == ["user.remove"]
    last = [act async for act in repository.all_acts(Wanted())][-1]
    assert await actions(repository, Wanted(since=last.at)) != []
    assert "settings.change" not in await actions(repository, Wanted(until=last.at))
    assert (await repository.acts_after("1-0", 10, Wanted(since=last.at + 1))).acts == []


async def test_a_setting_is_set_back_unless_it_was_changed_again(repository: StateRepository) -> None:
    await repository.change_settings(by=ROOT, max_connections=15, timeout_seconds=300)
    limit, timeout = [act async for act in repository.all_acts(Wanted())]
    await repository.change_settings(by=OPERATOR, max_connections=20)
    assert (await repository.undo(timeout, by=ROOT)).timeout_seconds == 600
    with pytest.raises(SettingsChanged):
        await repository.undo(limit, by=ROOT)
    for _ in range(2):  # the second time it is so already
        assert (await repository.undo(limit, by=ROOT, even_if_changed=True)).max_connections == 1000
    assert (await repository.undo(limit, by=ROOT)).max_connections == 1000
    assert (await actions(repository)).count("settings.change") == 5
    await repository.add_user("alice", CREDENTIAL, by=ROOT)
    with pytest.raises(NotUndoable):
        await repository.undo([act async for act in repository.all_acts(Wanted())][-1], by=ROOT)


def test_an_actor_on_the_machine_has_a_name_under_any_account(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_this_machine("pop3-service").name == "pop3-service"
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert on_this_machine().name == "uid 4000000"
