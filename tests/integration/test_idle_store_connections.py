"""Redis behind something that forgets idle connections: who asks after a pause sees nothing of it."""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from redis.asyncio.connection import Connection

from state_store import channel, conversation
from state_store.conversation import Conversation
from state_store.records import EventKind
from state_store.redis_repository import RedisRepository
from state_store.topology import OneServer, topology_of
from support.forgetful_relay import ForgetfulRelay
from support.peep_program import ADMINISTRATOR, PASSWORD, PeepSession, port_of, program
from support.pop3_process import Pop3Process, wait_until
from support.redis_server import RedisServer


@pytest.fixture
def relay(shared_redis_server: RedisServer, redis_url: str) -> Iterator[ForgetfulRelay]:
    assert redis_url == shared_redis_server.url  # emptied
    with ForgetfulRelay(shared_redis_server.socket) as running:
        yield running


class System:
    """All three services behind a relay that forgets."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.redis = stack.enter_context(RedisServer())
        self.relay = stack.enter_context(ForgetfulRelay(self.redis.socket))
        gateway_log, api_log = folder / "gateway.log", folder / "api.log"
        stack.enter_context(program("peep_gateway", gateway_log, self.relay.url))
        stack.enter_context(program("state_api", api_log, self.relay.url))
        self.pop3 = stack.enter_context(Pop3Process(self.relay.url, folder))
        self.http_port = port_of("state_api", api_log)
        self.peep = stack.enter_context(PeepSession(port_of("peep_gateway", gateway_log)))

    def is_idle(self) -> bool:
        """Whether nobody has said a word for 4 s; the POP3 process says one at least every 5 s."""
        with self.redis.client() as client:
            rows = client.execute_command("CLIENT", "LIST", "TYPE", "normal")
        ours = [line for line in str(rows).splitlines() if "cmd=client" not in line]
        return min(int(re.findall(r" idle=(\d+)", line)[0]) for line in ours) >= 4


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with ExitStack() as stack:
        yield System(tmp_path_factory.mktemp("system"), stack)


@pytest.mark.parametrize("silently", [True, False], ids=["silently", "with a reset"])
def test_first_question_after_a_pause_is_answered_by_every_service(system: System, silently: bool) -> None:
    username = system.pop3.add_user(b"Subject: a\n\nb\n")
    with system.pop3.connect() as client:
        assert client.ask(f"USER {username}").startswith(b"+OK")
        wait_until(system.is_idle, "nobody has said a word for some time")
        assert system.relay.forget(silently=silently) >= 6
        assert client.ask("PASS secret").startswith(b"+OK 1 message")
        assert system.peep.ask("cc?") == b"+1\r\n"
        url = f"http://127.0.0.1:{system.http_port}/v1/counters"
        assert httpx.get(url, auth=(ADMINISTRATOR, PASSWORD), timeout=20).status_code == 200
        assert client.quit().startswith(b"+OK")
    assert "away" not in system.pop3.log.read_text()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_connection_in_use_is_not_asked_for_a_proof(relay: ForgetfulRelay) -> None:
    clock = Clock()
    talking = Conversation(topology_of(relay.url), clock)
    try:
        for pause, asked in ((0.0, 0), (conversation.IDLE_SECONDS - 0.1, 0), (conversation.IDLE_SECONDS, 1)):
            await talking.ask([("CONFIG", "RESETSTAT")], 5)
            clock.now += pause
            (statistics,) = await talking.ask([("INFO", "commandstats")], 5)
            assert str(statistics).count("cmdstat_ping") == asked
    finally:
        await talking.close()


async def test_proof_is_had_on_the_same_connection_where_it_lives(relay: ForgetfulRelay) -> None:
    clock = Clock()
    talking = Conversation(topology_of(relay.url), clock)
    try:
        ids = []
        for _ in range(2):
            ids += await talking.ask([("CLIENT", "ID")], 5)
            clock.now += conversation.IDLE_SECONDS
        assert ids[0] == ids[1]
    finally:
        await talking.close()


async def test_outage_after_a_pause_still_shows_in_time(shared_redis_server: RedisServer) -> None:
    clock = Clock()
    talking = Conversation(topology_of(shared_redis_server.url), clock)
    try:
        await talking.ask([("PING",)], 5)
        clock.now += conversation.IDLE_SECONDS
        shared_redis_server.pause()
        try:
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError):
                await talking.ask([("PING",)], 0.8)
            assert asyncio.get_running_loop().time() - began < 2
        finally:
            shared_redis_server.resume()
    finally:
        await talking.close()


async def test_subscription_that_was_forgotten_is_made_anew(
    relay: ForgetfulRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "SILENCE_SECONDS", 0.1)
    repository = RedisRepository(relay.url)
    try:
        events = repository.events()
        assert (await anext(events)).kind is EventKind.RECONNECTED
        waiting = asyncio.ensure_future(anext(events))
        relay.forget(silently=True)
        assert (await asyncio.wait_for(waiting, 10)).kind is EventKind.DISCONNECTED
        assert (await anext(events)).kind is EventKind.RECONNECTED
        await repository.change_settings(timeout_seconds=300)
        assert (await asyncio.wait_for(anext(events), 10)).kind is EventKind.SETTINGS_CHANGED
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
