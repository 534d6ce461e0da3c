"""Slow-downs of guessing over PEEP (P17, P18), with a real store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from state_store.credentials import attempts
from state_store.credentials.attempts import Attempt, Outcome, RefusalReason
from state_store.redis.repository import RedisRepository
from support.peep_gateway_server import ADMINISTRATOR, PASSWORD, Gateway, running_gateway

LOGIN = f"a {ADMINISTRATOR} {PASSWORD}\r\n".encode()


@asynccontextmanager
async def gateway_over(redis_url: str) -> AsyncIterator[tuple[Gateway, RedisRepository]]:
    repository = RedisRepository(redis_url)
    try:
        async with running_gateway(repository) as gateway:
            yield gateway, repository
    finally:
        await repository.close()


async def use_up(repository: RedisRepository, subject: str, *networks: str) -> None:
    """Guess at somebody until one more has to wait."""
    for number in range(attempts.BURST + 1):
        for network in networks:
            attempt = Attempt(subject, network.format(number), f"digest {number}")
            decision = await repository.begin_attempt(attempt)
            await repository.end_attempt(attempt, decision, Outcome.WRONG, RefusalReason.WRONG_PASSWORD)


async def test_slow_downs_are_listed_one_a_line_and_lifted_one_by_one(redis_url: str) -> None:
    async with gateway_over(redis_url) as (gateway, repository), gateway.client(logged_in=True) as client:
        assert await client.ask(b"g?") == b"+0\r\n"
        await use_up(repository, "user b%b", "198.51.100.{}")
        await use_up(repository, "administrator a b/c", "2001:db8:0:{:x}::/64")
        await use_up(repository, "user carol", "192.0.2.1")
        count, *lines = [await client.ask(b"g?"), *[await client.read_line() for _ in range(3)]]
        assert count == b"+3\r\n"
        fields = [line.decode().split() for line in lines]
        assert [field[1:3] for field in fields] == [
            ["-", "b%25b"],
            ["-", "administrator/a%20b%2Fc"],
            ["192.0.2.1", "-"],
        ]
        for identifier, _, _, since, held, still in fields:
            assert 0 <= int(since) < 60
            assert int(held) == 1
            assert 0 < int(still) <= 60
            assert await client.ask(f"g- {identifier}".encode()) == b"+\r\n"
            assert await client.ask(f"g- {identifier}".encode()) == b"-4\r\n"
        assert await client.ask(b"g?") == b"+0\r\n"


async def test_who_has_to_wait_for_too_long_is_told_that_the_service_is_not_available(redis_url: str) -> None:
    async with gateway_over(redis_url) as (gateway, repository), gateway.client() as client:
        await use_up(repository, "user somebody", "127.0.0.1")
        # It says that it sends nothing more, so that it waits for nothing.
        assert await client.exchange(LOGIN + b"q\r\n") == b"-8\r\n+\r\n"


async def test_tenth_that_is_refused_unchecked_ends_the_session_too(redis_url: str) -> None:
    async with gateway_over(redis_url) as (gateway, repository), gateway.client() as client:
        await use_up(repository, "user somebody", "127.0.0.1")
        assert await client.exchange(LOGIN * 15) == b"-8\r\n" * 10


async def test_administrator_who_is_known_logs_in_while_others_of_the_network_guess(redis_url: str) -> None:
    async with gateway_over(redis_url) as (gateway, repository):
        async with gateway.client(logged_in=True):
            pass
        await use_up(repository, "user somebody", "127.0.0.1")
        async with asyncio.timeout(5), gateway.client(logged_in=True) as client:
            assert await client.ask(b"c?") == b"+1000\r\n"
