"""Slow-downs of guessing over PEEP (P17, P18), with a real store."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from peep_gateway.protocol.replies import MAX_REPLY_LINE_OCTETS
from state_store.credentials import attempts
from state_store.credentials.attempts import USER, Attempt, Decision, subject
from state_store.redis import client
from state_store.redis.scripting import load_scripts
from state_store.repository import StateRepository
from support import peep_gateway_server
from support.allowances import use_up
from support.peep_gateway_server import Gateway, passwords, running_gateway

LOGIN = peep_gateway_server.LOGIN + b"\r\n"


async def test_slow_downs_are_listed_one_a_line_and_lifted_one_by_one(gateway: Gateway) -> None:
    async with gateway.client(logged_in=True) as client:
        assert await client.ask(b"g?") == b"+0\r\n"
        await use_up(gateway.repository, "user b%b", "198.51.100.{}")
        await use_up(gateway.repository, "administrator a b/c", "2001:db8:0:{:x}::/64")
        await use_up(gateway.repository, "user carol", "192.0.2.1")
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


async def test_a_name_that_a_stranger_has_made_long_leaves_a_line_that_can_be_sent(gateway: Gateway) -> None:
    for name in ("\N{GRINNING FACE}" * 128, "/" * 128):
        await use_up(gateway.repository, subject(USER, name), "2001:db8:1111:{:x}::/64")
    async with gateway.client(logged_in=True) as client:
        assert await client.ask(b"g?") == b"+2\r\n"
        lines = [await client.read_line() for _ in range(2)]
        assert max(map(len, lines)) <= MAX_REPLY_LINE_OCTETS


async def test_who_has_to_wait_for_too_long_is_told_that_the_service_is_not_available(
    gateway: Gateway,
) -> None:
    async with gateway.client() as client:
        await use_up(gateway.repository, "user somebody", "127.0.0.1")
        # It says that it sends nothing more, so that it waits for nothing.
        assert await client.exchange(LOGIN + b"q\r\n") == b"-8\r\n+\r\n"


async def test_tenth_that_is_refused_unchecked_ends_the_session_too(gateway: Gateway) -> None:
    async with gateway.client() as client:
        await use_up(gateway.repository, "user somebody", "127.0.0.1")
        assert await client.exchange(LOGIN * 15) == b"-8\r\n" * 10


async def test_administrator_who_is_known_logs_in_while_others_of_the_network_guess(gateway: Gateway) -> None:
    async with gateway.client(logged_in=True):
        pass
    await use_up(gateway.repository, "user somebody", "127.0.0.1")
    async with asyncio.timeout(20), gateway.client(logged_in=True) as client:
        assert await client.ask(b"c?") == b"+1000\r\n"


async def test_right_passwords_of_one_address_wait_in_one_queue(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each check that ends wakes the next: with an `Authenticator` a session only one would log in."""
    monkeypatch.setattr(attempts, "INTERVAL_SECONDS", 600.0)
    monkeypatch.setattr(attempts, "UNDER_CHECK_POLL_SECONDS", 600.0)
    # Anew, with these figures.
    monkeypatch.setattr(client, "load_scripts", load_scripts.__wrapped__)
    repository, may_check, waiting = StateRepository(redis_url), asyncio.Event(), 0
    begin_attempt, is_right = repository.begin_attempt, passwords().is_right

    async def counted(*arguments: Any, **named: Any) -> Decision:
        nonlocal waiting
        decision = await begin_attempt(*arguments, **named)
        waiting += 1
        return decision

    async def held(*arguments: Any, **named: Any) -> bool:
        await may_check.wait()
        return await is_right(*arguments, **named)

    await repository.prepare()
    for number in range(attempts.BURST - 1):  # checks of another process
        await begin_attempt(Attempt(f"user user{number}", "127.0.0.1"))
    monkeypatch.setattr(repository, "begin_attempt", counted)
    monkeypatch.setattr(passwords(), "is_right", held)
    async with running_gateway(repository) as gateway, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.client()) for _ in range(8)]
        answers = asyncio.gather(*(client.ask(peep_gateway_server.LOGIN) for client in clients))
        while waiting < len(clients):
            await asyncio.sleep(0)
        may_check.set()
        assert set(await answers) == {b"+\r\n"}
    await repository.close()
