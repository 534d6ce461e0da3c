"""POP3 processes over a Redis that is killed, paused and started again, or has forgotten what it answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import redis.asyncio

from state_store.errors import StoreUnavailable
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import AdmissionOutcome, Counters, Credential, Login, LoginOutcome
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.redis_server import RedisServer

HERE = "192.0.2.1"


@asynccontextmanager
async def instance_on(
    url: str,
    *,
    address_limit: int = 0,
    lease_lapsed: Callable[[], None] = lambda: None,
) -> AsyncIterator[tuple[StateRepository, LiveInstance]]:
    repository = StateRepository(url)
    await repository.prepare()

    async def directory_fault(path: str) -> str:
        return "" if path == "/srv/mail" else "no such folder"

    instance = LiveInstance(
        repository,
        InstanceOptions(
            "host.example",
            1,
            "1",
            max_connections_per_address=address_limit,
        ),
        InstanceCallbacks(directory_fault, settings_changed=lambda: None, lease_lapsed=lease_lapsed),
    )
    await instance.start()
    try:
        yield repository, instance
    finally:
        await instance.stop()
        await repository.close()


async def until_away(instance: LiveInstance, *, is_away: bool) -> None:
    deadline = time.monotonic() + 20
    while instance._exchanges.is_away is not is_away:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def until_counters(repository: StateRepository, expected: Counters) -> None:
    deadline = time.monotonic() + 20
    while (found := await repository.counters()) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)


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


async def test_login_fails_soon_while_redis_is_paused(redis_server: RedisServer) -> None:
    async with instance_on(redis_server.url) as (repository, instance):
        await repository.add_user("alice", Credential("hash", "v1"), by=OPERATOR)
        redis_server.pause()
        with pytest.raises(StoreUnavailable):
            # It answers nobody until that was said.
            await asyncio.wait_for(instance.lock_maildrop(Login("alice", "s1", "v1", "192.0.2.1")), 20)
        redis_server.resume()
        await until_away(instance, is_away=False)
        outcome = await instance.lock_maildrop(Login("alice", "s1", "v1", "192.0.2.1"))
        assert outcome is LoginOutcome.OPENED


async def admitted(instances: list[LiveInstance], count: int) -> int:
    """Ask for so many connections at once, in turn at the instances; return who came in."""
    asking = (instances[number % len(instances)].admit(HERE) for number in range(count))
    outcomes = await asyncio.gather(*asking)
    assert set(outcomes) <= {AdmissionOutcome.ADMITTED, AdmissionOutcome.ADDRESS_LIMIT_REACHED}
    return outcomes.count(AdmissionOutcome.ADMITTED)


async def until_admitted(instances: list[LiveInstance], expected: int) -> None:
    """Ask again and again for more than is free: exactly the expected number comes in."""
    deadline = time.monotonic() + 20
    entered = await admitted(instances, 30)
    while entered < expected:
        assert time.monotonic() < deadline, entered
        await asyncio.sleep(0.01)
        entered += await admitted(instances, 30)
    assert entered == expected
    assert await admitted(instances, 30) == 0


async def test_places_asked_for_while_redis_did_not_answer_come_free(redis_server: RedisServer) -> None:
    async with AsyncExitStack() as stack:
        _, one = await stack.enter_async_context(instance_on(redis_server.url, address_limit=10))
        _, other = await stack.enter_async_context(instance_on(redis_server.url, address_limit=10))
        assert await admitted([one], 2) == 2
        redis_server.pause()
        # Paused, it carries out later what it was asked, and answers nobody.
        asking = [one.admit(HERE) for _ in range(5)]
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        redis_server.resume()
        await until_away(one, is_away=False)
        await until_away(other, is_away=False)
        await until_admitted([other], 8)


async def test_instance_whose_server_has_lost_what_it_answered_starts_over(redis_url: str) -> None:
    # As after a failover to a replica that had not heard of the lock: somebody else may have it by now.
    lapsed = asyncio.Event()
    async with instance_on(redis_url, lease_lapsed=lapsed.set) as (repository, instance):
        await repository.add_user("alice", Credential("hash", "v1"), by=OPERATOR)
        first_id = instance.instance_id
        before = await raw(redis_url, "DUMP", keys.INSTANCE + first_id)
        outcome = await instance.lock_maildrop(Login("alice", "s1", "v1", HERE))
        assert outcome is LoginOutcome.OPENED
        await raw(redis_url, "RESTORE", keys.INSTANCE + first_id, 0, before, "REPLACE")
        await raw(redis_url, "DEL", keys.MAILDROPS)
        instance.counted()
        async with asyncio.timeout(20):
            await lapsed.wait()
            while instance.instance_id == first_id or not instance._lease.is_held:
                await asyncio.sleep(0.01)
        assert not instance.still_holds(first_id)


async def raw(url: str, *words: str | int | bytes) -> bytes:
    """Ask the server itself."""
    client = redis.asyncio.Redis.from_url(url)
    try:
        answer: object = await client.execute_command(*words)  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()
    return answer if isinstance(answer, bytes) else b""
