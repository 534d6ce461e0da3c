"""Who has not signed in to PEEP: for how long, how many, for how many commands, and who goes first."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from line_server.budget import MOST_LINES
from peep_gateway.connection import SIGN_IN_SECONDS, PeepConnection
from peep_gateway.connection_limits import ConnectionLimits
from state_store.administrators import Administrator
from state_store.repository import StateRepository
from support.peep_gateway_server import LOGIN, Gateway, PeepClient, running_gateway

NO_ROOM = b"-8\r\n"
SHORTAGES = {
    "too many connections that have not signed in: the oldest is closed for each new one",
    "too many connections of administrators: no more are let in",
}


async def strangers(gateway: Gateway, clients: AsyncExitStack, count: int) -> list[PeepClient]:
    """Connect so often, one after the other, and say nothing."""
    silent = []
    for _ in range(count):
        before = len(gateway.server.connections)
        silent.append(await clients.enter_async_context(gateway.client()))
        async with asyncio.timeout(20):
            while len(gateway.server.connections) <= before:
                await asyncio.sleep(0.001)
    return silent


async def test_administrators_sign_in_beside_any_number_of_silent_connections(
    repository: StateRepository,
) -> None:
    async with (
        running_gateway(repository, limits=ConnectionLimits(max_unknown=20)) as gateway,
        gateway.client(logged_in=True) as first,
        AsyncExitStack() as clients,
    ):
        opened = [await clients.enter_async_context(gateway.client()) for _ in range(60)]
        async with gateway.client(logged_in=True) as second:
            assert await second.ask(b"c?") == b"+1000\r\n"
        assert await first.ask(b"c?") == b"+1000\r\n"
        assert [await client.rest() for client in opened[:40]] == [NO_ROOM] * 40


async def test_the_oldest_stranger_goes_first_and_is_told_so(repository: StateRepository) -> None:
    with capture_logs() as events:
        async with (
            running_gateway(repository, limits=ConnectionLimits(max_unknown=3)) as gateway,
            AsyncExitStack() as clients,
        ):
            silent = await strangers(gateway, clients, 3)
            for number in range(2):
                await clients.enter_async_context(gateway.client())
                assert await silent[number].rest() == NO_ROOM
            assert await silent[2].ask(LOGIN) == b"+\r\n"
    shortages = [event for event in events if event["event"] in SHORTAGES]
    assert [(event["log_level"], event["before_sign_in"]) for event in shortages] == [("warning", 2)]


async def test_who_has_signed_in_takes_no_stranger_s_place_and_never_has_to_go(
    repository: StateRepository,
) -> None:
    async with (
        running_gateway(repository, limits=ConnectionLimits(max_unknown=1)) as gateway,
        AsyncExitStack() as clients,
    ):
        signed_in = [await clients.enter_async_context(gateway.client(logged_in=True)) for _ in range(5)]
        await strangers(gateway, clients, 1)
        for client in signed_in:
            assert await client.ask(b"c?") == b"+1000\r\n"


async def test_an_administrator_for_whom_there_is_no_place_is_told_so(repository: StateRepository) -> None:
    with capture_logs() as events:
        async with (
            running_gateway(repository, limits=ConnectionLimits(max_signed_in=1)) as gateway,
            gateway.client(logged_in=True) as first,
        ):
            async with gateway.client() as second:
                assert await second.ask(b"a root wrong") == b"-2\r\n"
                second.writer.write(LOGIN + b"\r\nc?\r\n")
                assert await second.rest() == NO_ROOM
            await first.close()
            async with asyncio.timeout(20):
                while gateway.server.connections:
                    await asyncio.sleep(0.001)
            async with gateway.client(logged_in=True) as third:
                assert await third.ask(b"c?") == b"+1000\r\n"
    assert [event["signed_in"] for event in events if event["event"] in SHORTAGES] == [1]


def let_time_be_up(gateway: Gateway) -> None:
    """Let the time for signing in be over that each has who has not signed in."""
    loop = asyncio.get_running_loop()
    for connection in list(gateway.server.connections):
        assert isinstance(connection, PeepConnection)
        timer = connection._sign_in_timer
        if not timer.cancelled():
            assert 0 < timer.when() - loop.time() <= SIGN_IN_SECONDS
            timer.cancel()
            loop.call_soon(connection._sign_in_expired)


async def test_who_does_not_sign_in_in_time_is_closed_whatever_else_is_said(gateway: Gateway) -> None:
    async with gateway.client(logged_in=True) as client:
        async with gateway.client() as talker, AsyncExitStack() as clients:
            assert await talker.ask(b"nope") == b"-0\r\n"
            (silent,) = await strangers(gateway, clients, 1)
            let_time_be_up(gateway)
            assert await talker.rest() == b""
            assert await silent.rest() == b""
        assert await client.ask(b"c?") == b"+1000\r\n"


async def test_a_password_that_is_being_checked_when_time_is_up_still_signs_in(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking, answer_now = asyncio.Semaphore(0), asyncio.Event()

    known = gateway.repository.administrator

    async def administrator(name: str) -> Administrator | None:
        asking.release()
        await answer_now.wait()
        return await known(name)

    monkeypatch.setattr(gateway.repository, "administrator", administrator)
    async with AsyncExitStack() as clients:
        right = await clients.enter_async_context(gateway.client())
        wrong = await clients.enter_async_context(gateway.client())
        right.writer.write(LOGIN + b"\r\n")
        wrong.writer.write(b"a root wrong\r\nc?\r\n")
        for _ in (right, wrong):
            await asyncio.wait_for(asking.acquire(), 20)
        (silent,) = await strangers(gateway, clients, 1)
        let_time_be_up(gateway)
        assert await silent.rest() == b""  # so the others' time is up as well
        answer_now.set()
        assert await right.read_line() == b"+\r\n"
        assert await right.ask(b"c?") == b"+1000\r\n"
        assert await wrong.rest() == b"-2\r\n"


async def test_a_stranger_has_so_many_commands_answered_and_then_must_go(gateway: Gateway) -> None:
    async with gateway.client() as greedy:
        greedy.writer.write(b"cap?\r\n" * 10_000)
        replies = (await greedy.rest()).splitlines(keepends=True)
        assert replies.count(replies[0]) == MOST_LINES
        assert replies[0].startswith(b"+")
        assert replies[-1] == NO_ROOM
    async with gateway.client(logged_in=True) as client:
        client.writer.write(b"cap?\r\n" * 1000 + b"q\r\n")
        assert (await client.rest()).count(replies[0]) == 1000
