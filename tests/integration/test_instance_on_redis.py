"""POP3 processes over a real Redis that is killed, paused and started again: counts, limit, settings."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from state_store import keys
from state_store.errors import StoreUnavailable
from state_store.instance import LiveInstance
from state_store.records import Counters, Credential, Login, LoginOutcome
from state_store.redis_repository import RedisRepository
from support.redis_server import RedisServer


@asynccontextmanager
async def instance_on(url: str) -> AsyncIterator[tuple[RedisRepository, LiveInstance]]:
    repository = RedisRepository(url)
    await repository.prepare()

    async def can_use(path: str) -> bool:
        return path == "/srv/mail"

    instance = LiveInstance(
        repository,
        host="host.example",
        process_id=1,
        version="1",
        can_use_directory=can_use,
        settings_changed=lambda: None,
        lease_lapsed=lambda: None,
    )
    await instance.start()
    try:
        yield repository, instance
    finally:
        await instance.stop()
        await repository.close()


async def until_away(instance: LiveInstance, *, is_away: bool) -> None:
    deadline = time.monotonic() + 10
    while instance.is_away is not is_away:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def until_counters(repository: RedisRepository, expected: Counters) -> None:
    deadline = time.monotonic() + 10
    while (found := await repository.counters()) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)


async def enter(instance: LiveInstance) -> bool:
    return instance.admit_at_once() or await instance.admit()


async def test_counts_end_exact_over_kills_and_pauses(redis_server: RedisServer) -> None:
    async with instance_on(redis_server.url) as (repository, instance):
        total = 0

        def count() -> None:
            nonlocal total
            total += 1
            instance.deltas.retrieved_bytes += 1
            instance.counted()

        count()
        await until_counters(repository, Counters(retrieved_bytes=1))
        count()
        redis_server.kill()
        await until_away(instance, is_away=True)
        count()
        redis_server.start()
        await until_away(instance, is_away=False)
        # Paused, it takes the counts but answers too late: they are told again under the same number.
        redis_server.pause()
        count()
        await until_away(instance, is_away=True)
        count()
        redis_server.resume()
        await until_away(instance, is_away=False)
        await until_counters(repository, Counters(retrieved_bytes=total))
        assert total == 5


async def test_login_fails_within_about_a_second_while_redis_is_paused(redis_server: RedisServer) -> None:
    async with instance_on(redis_server.url) as (repository, instance):
        await repository.add_user("alice", Credential("hash", "v1"))
        redis_server.pause()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await instance.lock_maildrop(Login("alice", "s1", "v1", "192.0.2.1"))
        assert time.monotonic() - began < 2
        redis_server.resume()
        await until_away(instance, is_away=False)
        outcome = await instance.lock_maildrop(Login("alice", "s1", "v1", "192.0.2.1"))
        assert outcome is LoginOutcome.OPENED


async def test_limit_and_timeout_are_obeyed_when_the_call_returns(redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        repository, one = await stack.enter_async_context(instance_on(redis_url))
        _, other = await stack.enter_async_context(instance_on(redis_url))
        assert await enter(one)
        assert await enter(other)
        await repository.set_timeout(30)
        assert one.settings.timeout_seconds == other.settings.timeout_seconds == 30
        await repository.set_max_connections(12)
        answers = await asyncio.gather(*(enter(each) for _ in range(25) for each in (one, other)))
        assert answers.count(True) == 10


async def test_mail_directory_that_every_instance_can_use_is_set(redis_url: str) -> None:
    async with instance_on(redis_url) as (repository, instance):
        await repository.set_mail_directory("/srv/mail")
        assert instance.settings.mail_directory == "/srv/mail"


async def test_lapsed_lease_is_begun_anew_and_counts_once(redis_server: RedisServer) -> None:
    async with instance_on(redis_server.url) as (repository, instance):
        old = instance.instance_id
        with redis_server.client() as client:
            client.zadd(keys.LEASES, {old: 1})
        instance.deltas.logins += 3
        instance.counted()
        await until_counters(repository, Counters(historical_logins=3))
        assert instance.instance_id != old
