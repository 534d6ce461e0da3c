"""Redis behind something that forgets idle connections: who asks after a pause sees nothing of it."""

import asyncio
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio.connection import Connection

from state_store.records import NotificationKind
from state_store.redis import channel, connection
from state_store.redis.connection import RedisConnection
from state_store.redis.topology import OneServer, topology_of
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.forgetful_relay import ForgetfulRelay
from support.pop3_process import SECONDS, Pop3Process, wait_until
from support.redis_server import RedisServer
from support.stopped_clock import StoppedClock


@pytest.fixture
def relay(shared_redis_server: RedisServer, redis_url: str) -> Iterator[ForgetfulRelay]:
    assert redis_url == shared_redis_server.url  # emptied
    with ForgetfulRelay(shared_redis_server.socket) as running:
        yield running


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """Give a server whose clients are this test's alone."""
    with RedisServer() as running:
        yield running


SOON_IDLE = {"state_store.redis.connection.IDLE_SECONDS": 0.5}


def is_idle(server: RedisServer) -> bool:
    """Whether the POP3 process has said no word for a second; it says one at least every 5 s."""
    with server.client() as client:
        rows = client.execute_command("CLIENT", "LIST", "TYPE", "normal")
    ours = [line for line in str(rows).splitlines() if "cmd=client" not in line]
    return (
        min(int(re.findall(r" idle=(\d+)", line)[0]) for line in ours) >= 2
    )  # parts of them count as whole ones


@pytest.mark.parametrize("silently", [True, False], ids=["silently", "with a reset"])
def test_login_after_a_pause_is_answered(server: RedisServer, tmp_path: Path, silently: bool) -> None:
    with ForgetfulRelay(server.socket) as relay, Pop3Process(relay.url, tmp_path, periods=SOON_IDLE) as pop3:
        username = pop3.add_user(b"Subject: a\n\nb\n")
        with pop3.connect() as client:
            assert client.ask(f"USER {username}").startswith(b"+OK")
            wait_until(lambda: is_idle(server), "nobody has said a word for some time")
            assert relay.forget(silently=silently) >= 2
            assert client.ask("PASS secret").startswith(b"+OK 1 message")
            assert client.quit().startswith(b"+OK")
        assert "away" not in pop3.log.read_text()


async def test_connection_in_use_is_not_asked_for_a_proof(relay: ForgetfulRelay) -> None:
    clock = StoppedClock()
    talking = RedisConnection(topology_of(relay.url), clock)
    try:
        for pause, asked in ((0.0, 0), (connection.IDLE_SECONDS - 0.1, 0), (connection.IDLE_SECONDS, 1)):
            await talking.ask([("CONFIG", "RESETSTAT")], 5)
            clock.seconds += pause
            (statistics,) = await talking.ask([("INFO", "commandstats")], 5)
            assert str(statistics).count("cmdstat_ping") == asked
    finally:
        await talking.close()


async def test_proof_is_had_on_the_same_connection_where_it_lives(relay: ForgetfulRelay) -> None:
    clock = StoppedClock()
    talking = RedisConnection(topology_of(relay.url), clock)
    try:
        ids = []
        for _ in range(2):
            ids += await talking.ask([("CLIENT", "ID")], 5)
            clock.seconds += connection.IDLE_SECONDS
        assert ids[0] == ids[1]
    finally:
        await talking.close()


async def test_outage_after_a_pause_still_shows_in_time(shared_redis_server: RedisServer) -> None:
    clock = StoppedClock()
    talking = RedisConnection(topology_of(shared_redis_server.url), clock)
    try:
        await talking.ask([("PING",)], 5)
        clock.seconds += connection.IDLE_SECONDS
        shared_redis_server.pause()
        try:
            async with asyncio.timeout(SECONDS):  # which would end this with another error
                with pytest.raises(TimeoutError):
                    await talking.ask([("PING",)], 0.8)
        finally:
            shared_redis_server.resume()
    finally:
        await talking.close()


async def test_subscription_that_was_forgotten_is_made_anew(
    relay: ForgetfulRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "SILENCE_SECONDS", 0.1)
    repository = StateRepository(relay.url)
    try:
        notifications = repository.notifications()
        assert (await anext(notifications)).kind is NotificationKind.RECONNECTED
        waiting = asyncio.ensure_future(anext(notifications))
        relay.forget(silently=True)
        assert (await asyncio.wait_for(waiting, SECONDS)).kind is NotificationKind.DISCONNECTED
        monkeypatch.setattr(channel, "SILENCE_SECONDS", SECONDS)  # from now on the machine may be late
        assert (await anext(notifications)).kind is NotificationKind.RECONNECTED
        await repository.change_settings(by=OPERATOR, timeout_seconds=300)
        changed = await asyncio.wait_for(anext(notifications), SECONDS)
        assert changed.kind is NotificationKind.SETTINGS_CHANGED
    finally:
        await repository.close()


async def test_system_keeps_an_eye_on_the_connections_of_tcp(relay: ForgetfulRelay) -> None:
    way = topology_of(relay.url)
    assert isinstance(way, OneServer)
    connection = await way.open(5)
    try:
        assert isinstance(connection, Connection)
        assert connection._writer is not None
        end = connection._writer.get_extra_info("socket")
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        until_given_up = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) + end.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_KEEPCNT
        ) * end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        assert until_given_up <= 60
    finally:
        await connection.disconnect(nowait=True)
