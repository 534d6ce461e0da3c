"""What operators watch and change from outside, as the repository keeps it."""

import asyncio

import pytest
import redis

from state_store.activities import ACTIVITY_LENGTH, Activity, ActivityKind
from state_store.audit import Wanted
from state_store.errors import MailDirectoryRefused, SettingsChanged, UnknownSession
from state_store.latency import LatencyRecorder
from state_store.records import (
    Credential,
    Deltas,
    Exchange,
    Login,
    NotificationKind,
    SessionRow,
)
from state_store.redis.scripting import LOCKS_LOOKED_AT
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.peep_gateway_server import register

CREDENTIAL = Credential("$argon2id$one", "v1")


async def log_in(repository: StateRepository, instance_id: str, username: str, session_id: str) -> None:
    login = Login(username, session_id, "v1", "192.0.2.1")
    (outcome,) = (await repository.exchange(Exchange(instance_id, 0, logins=[login]))).logins
    assert outcome.value == "opened"


async def activity(repository: StateRepository, after: str = "0-0") -> list[Activity]:
    found, is_gap = await repository.activity_after(after)
    assert not is_gap
    return found


# Settings


async def test_several_settings_change_in_one_step(repository: StateRepository) -> None:
    before = await repository.settings()
    changed = await repository.change_settings(by=OPERATOR, max_connections=7, timeout_seconds=8)
    assert changed == await repository.settings()
    assert (changed.max_connections, changed.timeout_seconds) == (7, 8)
    assert changed.version == before.version + 1


async def test_settings_of_another_version_are_not_changed(repository: StateRepository) -> None:
    seen = await repository.change_settings(by=OPERATOR, timeout_seconds=1)
    await repository.change_settings(by=OPERATOR, timeout_seconds=2)
    with pytest.raises(SettingsChanged):
        await repository.change_settings(
            by=OPERATOR, max_connections=5, timeout_seconds=3, if_version=seen.version
        )
    now = await repository.settings()
    assert (now.max_connections, now.timeout_seconds) == (1000, 2)


async def test_one_of_two_changes_of_the_same_version_is_lost_and_told_so(
    repository: StateRepository,
) -> None:
    version = (await repository.settings()).version
    answers = await asyncio.gather(
        *(
            repository.change_settings(by=OPERATOR, max_connections=limit, if_version=version)
            for limit in (10, 20)
        ),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Settings", "SettingsChanged"]


async def test_refused_mail_directory_leaves_the_other_settings_as_they_were(
    repository: StateRepository,
) -> None:
    before = await repository.settings()
    with pytest.raises(MailDirectoryRefused):  # nobody is there who could agree
        await repository.change_settings(by=OPERATOR, timeout_seconds=5, mail_directory="/srv/mail")
    assert await repository.settings() == before


# Users


@pytest.mark.parametrize(
    ("prefix", "after", "wanted"),
    [
        ("", "", ["Al", "al", "alan", "alice", "bob", "~"]),
        ("al", "", ["al", "alan", "alice"]),
        ("al", "al", ["alan", "alice"]),
        ("al", "Zoe", ["al", "alan", "alice"]),
        ("al", "alice", []),
        ("al", "bob", []),
        ("~", "", ["~"]),
        ("alx", "", []),
    ],
)
async def test_users_are_searched_by_prefix(
    repository: StateRepository, prefix: str, after: str, wanted: list[str]
) -> None:
    for name in ("bob", "alice", "alan", "al", "Al", "~"):
        await repository.add_user(name, CREDENTIAL, by=OPERATOR)
    for limit in (10, 1):
        found = await repository.listed_users(after, limit, prefix)
        assert [one.username for one in found] == wanted[:limit]


# Sessions


async def test_session_row_is_shown_as_it_was_written_last(repository: StateRepository) -> None:
    await register(repository, "i1")
    row = SessionRow("i1-1", "i1", None, "192.0.2.1", 1000.0)
    changed = SessionRow("i1-1", "i1", "alice", "192.0.2.1", 1000.0, "TLSv1.3", 123, 4, 5, 1002.5, 99, 98)
    for version in (row, changed):
        await repository.exchange(Exchange("i1", 0, session_rows=[version]))
        assert await repository.sessions() == [version]


@pytest.mark.parametrize(
    "opened",
    [
        Exchange("i2", 0, session_rows=[SessionRow("i2-1", "i2", "bob", "::1", 1000.0)]),
        # Its login is told at once, its row is written later.
        Exchange("i2", 0, logins=[Login("bob", "i2-1", "v1", "::1")]),
    ],
)
async def test_session_is_closed_by_the_instance_that_holds_it(
    repository: StateRepository, opened: Exchange
) -> None:
    await register(repository, "i1", "i2")
    for name in ("al", "bob"):
        await repository.add_user(name, CREDENTIAL, by=OPERATOR)
    await log_in(repository, "i1", "al", "i2-12")
    await repository.exchange(opened)
    asked: list[str] = []

    async def obey() -> None:
        async for notification in repository.notifications():
            if notification.kind is NotificationKind.RECONNECTED:
                listening.set()
            if notification.kind is NotificationKind.SESSION_TO_CLOSE:
                asked.append(notification.identifier)
                closed = notification.identifier
                await repository.exchange(
                    Exchange("i2", 0, closed_sessions=[closed], releases=[("bob", closed)])
                )

    listening = asyncio.Event()
    instance = asyncio.create_task(obey())
    await listening.wait()
    await repository.close_session("i2-1", by=OPERATOR)
    instance.cancel()
    assert asked == ["i2-1"]
    assert (await repository.sessions(), await repository.logged_in_users()) == ([], ["al"])
    (act,) = (await repository.acts_before("", 1, Wanted())).acts
    assert (act.action, act.object) == ("session.close", "i2-1 bob")


async def test_unknown_session_cannot_be_closed(repository: StateRepository) -> None:
    await register(repository, "i1")
    with pytest.raises(UnknownSession):
        await repository.close_session("i1-1", by=OPERATOR)


async def test_a_session_without_a_row_is_looked_for_among_many_in_short_steps(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await register(repository, "i1")
    names = [f"user{number}" for number in range(2000)]
    await repository.add_users([(name, CREDENTIAL) for name in names], by=OPERATOR)
    logins = [Login(name, f"i1-{number:x}", "v1", "::1") for number, name in enumerate(names)]
    await repository.exchange(Exchange("i1", 0, logins=logins))
    behind_the_scenes.config_resetstat()
    with pytest.raises(UnknownSession):
        await repository.close_session("i1-ffff", by=OPERATOR)
    commands = behind_the_scenes.info("commandstats")
    assert "cmdstat_hgetall" not in commands
    assert commands["cmdstat_hscan"]["calls"] >= len(names) / LOCKS_LOOKED_AT / 2
    closing = asyncio.create_task(repository.close_session("i1-7cf", by=OPERATOR))
    while not (acts := (await repository.acts_before("", 1, Wanted(action="session.close"))).acts):
        assert not closing.done()
    await repository.exchange(Exchange("i1", 0, releases=[("user1999", "i1-7cf")]))
    await closing
    assert [act.object for act in acts] == ["i1-7cf user1999"]


# Latencies


async def test_latencies_of_all_instances_are_added(repository: StateRepository) -> None:
    await register(repository, "i1", "i2")
    for instance_id, seconds in (("i1", 0.002), ("i2", 0.002), ("i2", 99.0)):
        recorder = LatencyRecorder()
        recorder.record(seconds)
        sequence = 1 if seconds < 1 else 2
        deltas = Deltas(latencies={**recorder.take("command"), "login 0": 3, "login us": 150})
        await repository.exchange(Exchange(instance_id, sequence, deltas))
    seen = await repository.latencies()
    bucket = next(index for index, bound in enumerate(seen.command.bounds) if bound >= 0.002)
    assert seen.command.counts[bucket] == 2
    assert seen.command.counts[-1] == 1
    assert sum(seen.command.counts) == 3
    assert seen.command.seconds == pytest.approx(99.004)
    assert seen.login.counts[0] == 9
    assert seen.login.seconds == pytest.approx(450e-6)


async def test_latencies_that_are_told_twice_count_once(repository: StateRepository) -> None:
    await register(repository, "i1")
    for _ in range(2):
        await repository.exchange(Exchange("i1", 1, Deltas(latencies={"command 0": 5})))
    assert (await repository.latencies()).command.counts[0] == 5


# Activity


async def test_login_logout_and_change_of_a_setting_are_remembered_in_order(
    repository: StateRepository,
) -> None:
    await register(repository, "i1")
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await log_in(repository, "i1", "alice", "i1-1")
    await repository.exchange(Exchange("i1", 0, releases=[("alice", "i1-1")]))
    await repository.end_instance("i1")  # the change would wait for it to obey
    await repository.change_settings(by=OPERATOR, timeout_seconds=77)
    found = await activity(repository)
    session = {"username": "alice", "session": "i1-1", "instance": "i1"}
    assert [(one.kind, one.details) for one in found] == [
        (ActivityKind.LOGIN, {**session, "address": "192.0.2.1"}),
        (ActivityKind.LOGOUT, session),
        (ActivityKind.SETTING, {"name": "timeout_seconds", "value": "77"}),
    ]
    assert await repository.last_activity_id() == found[-1].activity_id
    assert await activity(repository, found[0].activity_id) == found[1:]
    assert await activity(repository, found[-1].activity_id) == []


async def test_login_that_is_asked_for_twice_is_remembered_once(repository: StateRepository) -> None:
    await register(repository, "i1")
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    for _ in range(2):
        await log_in(repository, "i1", "alice", "i1-1")
    assert [one.kind for one in await activity(repository)] == [ActivityKind.LOGIN]


async def test_sessions_of_an_instance_that_ends_are_logged_out(repository: StateRepository) -> None:
    await register(repository, "i1")
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await log_in(repository, "i1", "alice", "i1-1")
    await repository.end_instance("i1")
    assert [one.kind for one in await activity(repository)] == [ActivityKind.LOGIN, ActivityKind.LOGOUT]


async def test_new_store_remembers_no_activity(repository: StateRepository) -> None:
    assert await activity(repository, await repository.last_activity_id()) == []


async def test_whoever_missed_more_than_is_remembered_is_told_so(repository: StateRepository) -> None:
    start = await repository.last_activity_id()
    for seconds in range(ACTIVITY_LENGTH + 500):
        await repository.change_settings(by=OPERATOR, timeout_seconds=seconds)
    found, is_gap = await repository.activity_after(start, 5000)
    assert is_gap
    assert ACTIVITY_LENGTH <= len(found) < ACTIVITY_LENGTH + 500
    assert found[-1].details["value"] == str(ACTIVITY_LENGTH + 499)
    assert await activity(repository, found[0].activity_id) == found[1 : ACTIVITY_LENGTH + 1]


async def test_id_of_another_store_is_answered_with_everything_and_a_gap(repository: StateRepository) -> None:
    await repository.change_settings(by=OPERATOR, timeout_seconds=5)
    found, is_gap = await repository.activity_after("99999999999999-0")
    assert is_gap
    assert [one.details["value"] for one in found] == ["5"]
