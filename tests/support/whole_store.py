"""All that a store has to do on any Redis, and what it says while one has a fault."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from service_runtime.lifecycle import Lifecycle
from service_runtime.waiting import prepare_patiently
from state_store.administrators import Administrator, Role
from state_store.audit import Wanted
from state_store.credentials.attempts import Attempt, Outcome, RefusalReason, Verdict
from state_store.errors import UnknownSlowDown
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import (
    Credential,
    Deltas,
    Exchange,
    Instance,
    Login,
    LoginOutcome,
    Naming,
    NotificationKind,
)
from state_store.refusals import NewRefusal, RefusalCounts, RefusalKind, RefusalOutcome
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.patience import no_patience_with_instances
from support.redis_kinds import PASSWORD, USER_PASSWORD
from support.waiting import until

SECONDS = 30
"""How long anything may take here at most, on a machine that is busy."""

ATTEMPTS = 3
"""So often Redis is asked in vain before it recovers: a reason is logged once and not each time."""

CREDENTIAL = Credential("$argon2id$one", "v1")

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
numbers = itertools.count(1)


@asynccontextmanager
async def repository_on(url: str) -> AsyncIterator[StateRepository]:
    """Give a repository on this Redis."""
    repository = StateRepository(url)
    async with closing(repository):
        yield repository


@asynccontextmanager
async def closing(repository: StateRepository) -> AsyncIterator[None]:
    """Close the repository at the end of the block."""
    try:
        yield
    finally:
        await repository.close()


@asynccontextmanager
async def instance_on(repository: StateRepository) -> AsyncIterator[LiveInstance]:
    """Give an instance that lives until the block ends."""

    async def directory_fault(path: str) -> str:
        return ""

    instance = LiveInstance(
        repository,
        InstanceOptions("host.example", 1, "1"),
        InstanceCallbacks(directory_fault, settings_changed=lambda: None, lease_lapsed=lambda: None),
    )
    await instance.start()
    try:
        yield instance
    finally:
        await instance.stop()


async def use_the_whole_store(repository: StateRepository) -> None:
    """Log in, hold the maildrop's lock, count, and ask for all that operators ask for."""
    number = next(numbers)
    username, guest, one, other = f"user{number}", f"guest{number}", f"one{number}", f"other{number}"
    before = await repository.counters()
    for instance_id in (one, other):
        await repository.register_instance(Instance(instance_id, "host.example", 42, "1.2.3", 1000.0))
    await repository.add_user(username, CREDENTIAL, by=OPERATOR)
    assert await repository.credential(username) == CREDENTIAL
    await repository.add_user(guest, CREDENTIAL, by=OPERATOR)
    since = await repository.last_activity_id()
    logins = [Login(name, f"s-{name}", "v1", "192.0.2.1", maildir=f"m-{name}") for name in (guest, username)]
    taken = Exchange(one, 1, deltas=Deltas(retrieved_bytes=5, logins=1), logins=logins)
    assert (await repository.exchange(taken, reap=True)).logins == [LoginOutcome.OPENED] * 2
    await repository.exchange(Exchange(one, 2, releases=[(guest, f"s-{guest}")]))
    activities, _ = await repository.activity_after(since)
    assert [activity.details["username"] for activity in activities] == [guest, username, guest]
    refused = Exchange(other, 1, logins=[Login(username, "s2", "v1", "192.0.2.1")])
    assert (await repository.exchange(refused)).logins == [LoginOutcome.IN_USE]
    assert username in await repository.logged_in_users()
    after = await repository.counters()
    assert after.retrieved_bytes - before.retrieved_bytes == 5
    assert after.historical_logins - before.historical_logins == 1
    assert {one, other} <= {status.instance.instance_id for status in await repository.instances()}
    assert await repository.sessions() == []
    assert username in await repository.usernames()
    assert await repository.usernames_after(username, 1) in ([], [f"user{number + 1}"])
    await repository.deployment_secret()
    await repository.replace_administrators({"admin": "$argon2id$two"}, by=OPERATOR)
    assert (await repository.administrators())["admin"].password_hash == "$argon2id$two"
    assert not await repository.replace_administrators(
        {"late": "$argon2id$three"}, "one", Naming.FIRST, by=OPERATOR
    )
    await use_administrators(repository, number)
    attempt = Attempt(f"user user{number}", f"192.0.2.{number}", "digest")
    assert not await repository.recognise(attempt.subject, attempt.network)
    decision = await repository.begin_attempt(attempt)
    assert decision.verdict is Verdict.GO
    await repository.end_attempt(attempt, decision, Outcome.WRONG, RefusalReason.WRONG_PASSWORD)
    assert (await repository.begin_attempt(attempt)).verdict is Verdict.REPEATED
    assert await repository.slow_downs() == []
    with pytest.raises(UnknownSlowDown):
        await repository.lift_slow_down("0" * 12, by=OPERATOR)
    network, suspended = f"10.0.0.{number}", NewRefusal(RefusalKind.SUSPEND, username, "gone")
    bans = NewRefusal(RefusalKind.BAN, network), NewRefusal(RefusalKind.EXEMPT, network, until=4e9)
    with no_patience_with_instances():
        assert (await repository.refuse([suspended, *bans], by=OPERATOR)).outcomes == [RefusalOutcome.SET] * 3
        assert (await repository.suspension(username, "v1")) is not None
        assert [rule.network for rule in (await repository.refused_networks(one))[0]] == [network] * 2
        for lifted in (await repository.refusals(9)).refusals:
            await repository.lift_refusal(lifted.refusal_id, by=OPERATOR)
    assert await repository.refusal_counts() == RefusalCounts()
    await repository.announce_mail_directory("/srv/mail", overrides=True, by=OPERATOR)
    await repository.set_credential(username, CREDENTIAL, by=OPERATOR)
    for name in (username, guest):
        await repository.remove_user(name, by=OPERATOR)
    for instance_id in (one, other):
        await repository.end_instance(instance_id)
    await repository.change_settings(by=OPERATOR, max_connections=1000 + number)
    assert (await repository.settings()).max_connections == 1000 + number
    (act,) = (await repository.acts_before("", 1, Wanted(action="settings.change"))).acts
    assert (act.by, act.new) == (OPERATOR, str(1000 + number))
    await repository.ping()


async def use_administrators(repository: StateRepository, number: int) -> None:
    """Make, change, find and remove an administrator and an API token."""
    name, digest = f"bob{number}", f"digest{number}"
    await repository.add_administrator(name, Role.READ, "$argon2id$one", by=OPERATOR)
    await repository.set_administrator_role(name, Role.ALL, by=OPERATOR)
    await repository.set_administrator_password(name, "$argon2id$two", by=OPERATOR)
    assert await repository.administrator(name) == Administrator(name, Role.ALL, "$argon2id$two")
    assert name not in await repository.administrators_of_settings()
    await repository.make_api_token(name, digest, Role.ALL, networks=["192.0.2.0/24"], by=OPERATOR)
    await repository.note_token_use(digest, "192.0.2.1")
    token, _ = await repository.api_token(digest)
    assert token is not None
    assert token.used_from == "192.0.2.1"
    assert token in await repository.api_tokens()
    await repository.revoke_api_token(name, by=OPERATOR)
    assert (await repository.api_token(digest))[0] is None
    await repository.remove_administrator(name, by=OPERATOR)
    assert await repository.administrator(name) is None


async def hear_a_change(repository: StateRepository) -> None:
    """Subscribe, change a setting, and return when the change was heard."""

    async def listen() -> None:
        async for notification in repository.notifications():
            if notification.kind is NotificationKind.RECONNECTED:
                await repository.announce_mail_directory(f"/srv/{next(numbers)}", overrides=True, by=OPERATOR)
            elif notification.kind is NotificationKind.SETTINGS_CHANGED:
                return

    await asyncio.wait_for(listen(), SECONDS)


async def try_everything(url: str) -> None:
    """Use all that the store offers on this Redis, and hear a change of it."""
    async with repository_on(url) as repository:
        await repository.prepare()
        await use_the_whole_store(repository)
        await hear_a_change(repository)


async def until_logged(events: list[Any], line: str) -> None:
    """Return once this event is among the logged ones."""
    await until(lambda: line in [event["event"] for event in events])


class _CountingRepository(StateRepository):
    attempts = 0

    async def prepare(self) -> None:
        self.attempts += 1
        await super().prepare()


async def first_line_of_waiting(url: str, recover: Callable[[], object], *, reasons: int = 1) -> str:
    """Wait for a Redis that has a fault until `recover` took it away; return the reason that was logged.

    So many reasons may be logged, while it recovers step by step.
    """
    repository = _CountingRepository(url)
    async with closing(repository):
        with capture_logs() as events:
            waiting = asyncio.create_task(prepare_patiently(repository, log, url, Lifecycle()))
            await until(lambda: repository.attempts >= ATTEMPTS)
            await asyncio.to_thread(recover)
            assert await asyncio.wait_for(waiting, SECONDS)
        *waits, last = [event["event"] for event in events]
        assert 1 <= len(waits) <= reasons
        assert (set(waits), last) == ({"waiting for redis"}, "redis is there")
        assert not any(secret in repr(events) for secret in (PASSWORD, USER_PASSWORD, "stale-secret"))
        await use_the_whole_store(repository)
        return str(events[0]["reason"])
