"""The PEEP gateway over real sockets: cuts, bursts, half-closes, resets, clients that never read."""

import asyncio
import socket
import struct
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from peep_gateway import connection as peep_connection
from peep_gateway.connection import IDLE_SECONDS, PeepConnection
from state_store.records import Counters
from state_store.repository import StateRepository
from support.peep_gateway_server import CAPABILITIES, LOGIN, Gateway, PeepClient, add_users, running_gateway
from support.redis_server import RedisServer


def only_connection(gateway: Gateway) -> PeepConnection:
    (connection,) = gateway.server.connections
    assert isinstance(connection, PeepConnection)
    return connection


async def ended(connection: PeepConnection) -> None:
    """Return when the server has seen the connection's end."""
    async with asyncio.timeout(20):
        while connection in connection._connections:
            await asyncio.sleep(0.001)


async def unread(connection: PeepConnection) -> None:
    """Return when replies wait for the client to read."""
    async with asyncio.timeout(20):
        while not connection.output.unsent_octets():
            await asyncio.sleep(0.001)


def reset(client: PeepClient) -> None:
    """Break the connection off: the server sees a reset, not an end of stream."""
    bound = client.writer.get_extra_info("socket")
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


async def test_thousand_commands_in_one_packet_are_answered_in_order(gateway: Gateway) -> None:
    async with gateway.client() as client:
        stream = LOGIN + b"\r\n"
        stream += b"".join(b"c= %d\r\nc?\r\nnope\r\n" % number for number in range(1, 334))
        expected = b"+\r\n" + b"".join(b"+\r\n+%d\r\n-0\r\n" % number for number in range(1, 334))
        assert await client.exchange(stream) == expected


async def test_pipelined_queries_are_answered_in_order(gateway: Gateway) -> None:
    async with gateway.client() as client:
        stream = LOGIN + b"\r\n" + b"cc?\r\nc?\r\nrb?\r\n" * 128 + b"q\r\ncc?\r\n"
        client.writer.write(stream)
        assert await client.rest() == b"+\r\n" + b"+0\r\n+1000\r\n+0\r\n" * 128 + b"+\r\n"


async def test_command_after_pipelined_queries_waits_for_their_answers(gateway: Gateway) -> None:
    """`u+` is carried out after the query before it, and before the one behind it."""
    stream = (
        LOGIN + b"\r\nu?\r\nu+ bob pw\r\nu?\r\ncc?\r\ncc?\r\nu- bob\r\nu?\r\ncc?\r\nu- bob\r\nnope\r\nq\r\n"
    )
    async with gateway.client() as client:
        client.writer.write(stream)
        assert await client.rest() == (
            b"+\r\n+0\r\n+\r\n+1\r\nbob\r\n+0\r\n+0\r\n+\r\n+0\r\n+0\r\n-4\r\n-0\r\n+\r\n"
        )


async def test_line_without_end_behind_pipelined_queries_is_cut_off_after_their_answers(
    gateway: Gateway,
) -> None:
    async with gateway.client(logged_in=True) as client:
        client.writer.write(b"cc?\r\ncc?\r\nu+ " + b"x" * 66_000)
        assert await client.rest() == b"+0\r\n+0\r\n"


class CountedQueries:
    """Counts the queries of the counters, and lets them go on when they may."""

    def __init__(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self._counters = gateway.repository.counters
        monkeypatch.setattr(gateway.repository, "counters", self._count)

    async def _count(self) -> Counters:
        self.number += 1
        counted = await self._counters()
        await self.may_go_on.wait()
        return counted

    async def reach(self, number: int) -> None:
        async with asyncio.timeout(20):
            while self.number < number:
                await asyncio.sleep(0.001)


@pytest.fixture
def queries(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> CountedQueries:
    return CountedQueries(gateway, monkeypatch)


async def test_sessions_that_ask_at_the_same_moment_are_all_answered(
    gateway: Gateway, queries: CountedQueries
) -> None:
    async with AsyncExitStack() as clients:
        asking = [await clients.enter_async_context(gateway.client(logged_in=True)) for _ in range(16)]
        for _ in range(10):
            assert set(await asyncio.gather(*(client.ask(b"cc?") for client in asking))) == {b"+0\r\n"}
    assert queries.number < 16 * 10 / 2


async def test_pipelined_repetitions_of_a_query_share_one_and_what_is_between_them_counts(
    gateway: Gateway, queries: CountedQueries
) -> None:
    stream = b"cc?\r\n" * 2000 + b"u?\r\nu?\r\nu+ bob pw\r\nu?\r\nu?\r\nu- bob\r\nu?\r\nq\r\n"
    async with gateway.client(logged_in=True) as client:
        client.writer.write(stream)
        users = b"+0\r\n+0\r\n+\r\n" + b"+1\r\nbob\r\n" * 2 + b"+\r\n+0\r\n+\r\n"
        assert await client.rest() == b"+0\r\n" * 2000 + users
    assert queries.number < 20


async def test_repetition_that_comes_while_its_query_runs_has_a_query_of_its_own(
    gateway: Gateway, queries: CountedQueries
) -> None:
    queries.may_go_on.clear()
    async with gateway.client(logged_in=True) as client:
        client.writer.write(b"cc?\r\ncc?\r\n")
        await queries.reach(1)
        client.writer.write(b"cc?\r\n")
        connection = only_connection(gateway)
        async with asyncio.timeout(20):
            while connection.lines.pending_octets < 10:  # the second and the third
                await asyncio.sleep(0.001)
        queries.may_go_on.set()
        assert await client.exchange(b"") == b"+0\r\n" * 3
    assert queries.number == 2


async def test_long_answers_to_repetitions_are_not_gathered(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peep_connection, "REPEATED_OCTETS", 20)
    await add_users(gateway.repository, "alice")
    async with gateway.client(logged_in=True) as client:
        assert await client.exchange(b"u?\r\n" * 7) == b"+1\r\nalice\r\n" * 7


async def test_octets_may_come_one_at_a_time(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for octet in LOGIN + b"\r\nu+ bob pw\r\nu?\r\nc= x\r\nq\r\n":
            client.writer.write(bytes([octet]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert await client.rest() == b"+\r\n+\r\n+1\r\nbob\r\n-1\r\n+\r\n"


async def test_half_closing_client_gets_every_answer_then_the_end(gateway: Gateway) -> None:
    async with gateway.client() as client:
        stream = LOGIN + b"\r\n" + b"cap?\r\nc?\r\n" * 200 + b"c?"
        assert await client.exchange(stream) == b"+\r\n" + (CAPABILITIES + b"+1000\r\n") * 200


async def test_client_that_never_reads_is_not_served_further(
    gateway: Gateway, shared_redis_server: RedisServer
) -> None:
    shared_redis_server.add_users([f"user-{number:05}-{'x' * 100}" for number in range(20_000)])
    async with gateway.client(logged_in=True) as greedy:
        greedy.reader._transport.pause_reading()  # type: ignore[attr-defined]
        connection = only_connection(gateway)
        greedy.writer.write(b"u?\r\n" * 50_000)
        await unread(connection)
        one_reply = 20_000 * 113 + 8
        assert connection.output.unsent_octets() <= one_reply
        assert connection.lines.pending_octets <= 2 * 256 * 1024
        async with gateway.client(logged_in=True) as other:
            assert await other.ask(b"c?") == b"+1000\r\n"
        assert connection.output.unsent_octets() <= one_reply
        reset(greedy)


async def test_at_most_sixty_four_replies_are_kept_unsent(gateway: Gateway) -> None:
    """P19: each of these is answered without waiting for the store."""
    async with gateway.client(logged_in=True) as greedy:
        greedy.reader._transport.pause_reading()  # type: ignore[attr-defined]
        greedy.writer.write(b"cap?\r\n" * 1_000_000)
        await asyncio.sleep(0)
        connection = only_connection(gateway)
        await unread(connection)
        assert connection.output.unsent_octets() <= 64 * len(CAPABILITIES)
        reset(greedy)


async def test_slow_reader_gets_everything_in_the_end(gateway: Gateway) -> None:
    async with gateway.client(logged_in=True) as client:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(b"cap?\r\n" * 100_000)
        client.writer.write_eof()
        await asyncio.sleep(0)
        await unread(only_connection(gateway))
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]
        assert await client.rest() == CAPABILITIES * 100_000


def let_it_be_idle(gateway: Gateway) -> None:
    """Let a tenth of a second be enough from now on; until now no answer could be too late."""
    connection = only_connection(gateway)
    assert connection._deadline._seconds == IDLE_SECONDS
    connection._idle_seconds = 0.1
    connection._deadline.allow(0.1)


async def test_idle_session_is_closed_without_a_word(gateway: Gateway) -> None:
    async with gateway.client(logged_in=True) as client:
        let_it_be_idle(gateway)
        assert await client.rest() == b""


async def test_half_a_command_does_not_keep_a_session(gateway: Gateway) -> None:
    async with gateway.client(logged_in=True) as client:
        client.writer.write(b"nope\r\nc")
        assert await client.read_line() == b"-0\r\n"
        await unanswered(only_connection(gateway), b"c")
        let_it_be_idle(gateway)
        assert await client.rest() == b""


async def unanswered(connection: PeepConnection, octets: bytes) -> None:
    """Return once these have come, and wait for the end of their line."""
    async with asyncio.timeout(20):
        while connection.lines.unfinished != octets:
            await asyncio.sleep(0.001)


async def test_session_that_waits_for_its_own_answer_is_not_idle(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked, answer_now = asyncio.Event(), asyncio.Event()

    async def usernames() -> list[str]:
        is_asked.set()
        await answer_now.wait()
        return ["alice"]

    monkeypatch.setattr(gateway.repository, "usernames", usernames)
    async with gateway.client(logged_in=True) as client:
        client.writer.write(b"u?\r\n")
        await asyncio.wait_for(is_asked.wait(), 20)
        let_it_be_idle(gateway)
        asyncio.get_running_loop().call_later(0.3, answer_now.set)
        assert await client.rest() == b"+1\r\nalice\r\n"


async def test_reset_in_mid_line_ends_only_that_session(gateway: Gateway) -> None:
    async with gateway.client() as client:
        assert await client.ask(b"nope") == b"-0\r\n"
        connection = only_connection(gateway)
        client.writer.write(b"a root roo")
        reset(client)
        await ended(connection)
    async with gateway.client(logged_in=True) as client:
        assert await client.ask(b"c?") == b"+1000\r\n"


async def test_request_of_a_lost_connection_is_given_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked = asyncio.Event()
    is_given_up = asyncio.Event()

    async def usernames() -> list[str]:
        is_asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_given_up.set()
        return []

    monkeypatch.setattr(gateway.repository, "usernames", usernames)
    async with gateway.client(logged_in=True) as client:
        client.writer.write(b"u?\r\n")
        await asyncio.wait_for(is_asked.wait(), 20)
        reset(client)
        await asyncio.wait_for(is_given_up.wait(), 20)


async def test_line_without_end_is_cut_off_after_64_kibioctets(gateway: Gateway) -> None:
    async with gateway.client(logged_in=True) as client:
        client.writer.write(b"c?\r\nu+ " + b"x" * 66_000)
        assert await client.rest() == b"+1000\r\n"


async def test_bug_is_logged_with_its_stack_and_closes_only_that_session(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def usernames() -> list[str]:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(gateway.repository, "usernames", usernames)
    async with gateway.client(logged_in=True) as other:
        with capture_logs() as events:
            async with gateway.client() as client:
                assert await client.exchange(LOGIN + b"\r\nu?\r\nc?\r\n") == b"+\r\n"
        (bug,) = [event for event in events if event["event"] == "unexpected error"]
        assert isinstance(bug["exc_info"], ZeroDivisionError)
        assert await other.ask(b"c?") == b"+1000\r\n"


async def test_end_of_a_session_is_logged_once_with_its_counts(repository: StateRepository) -> None:
    with capture_logs() as events:
        async with running_gateway(repository) as gateway, gateway.client(source="127.0.0.9") as client:
            await client.exchange(LOGIN + b"\r\nc?\r\nnope\r\nq\r\n")
    (event,) = [event for event in events if event["event"] == "session ended"]
    assert event["administrator"] == "root"
    assert event["commands"] == 4
    assert event["address"] == "127.0.0.9"
    assert event["seconds"] >= 0
    assert "root-password" not in repr(events)


async def test_end_of_who_never_said_anything_is_logged_at_debug_only(repository: StateRepository) -> None:
    with capture_logs() as events:
        async with running_gateway(repository) as gateway:
            for octets in (b"", b"c"):
                async with gateway.client() as client:
                    assert await client.exchange(octets) == b""
    ends = [event for event in events if event["event"] == "session ended"]
    assert [(end["log_level"], end["commands"]) for end in ends] == [("debug", 0), ("debug", 0)]


async def test_a_health_check_is_logged_at_debug_only(repository: StateRepository) -> None:
    with capture_logs() as events:
        async with running_gateway(repository) as gateway, gateway.client() as client:
            assert (await client.exchange(b"cap?\r\nq\r\n")).startswith(b"+")
    (event,) = [event for event in events if event["event"] == "session ended"]
    assert event["log_level"] == "debug"


async def test_right_password_is_not_kept_waiting_by_another_addresss_wrong_ones(gateway: Gateway) -> None:
    """P18."""
    async with gateway.client(source="127.0.0.21") as guesser:
        guesser.writer.write(b"a root wrong\r\n" * 6)
        for _ in range(3):
            assert await guesser.read_line() == b"-2\r\n"
        async with gateway.client(source="127.0.0.22", logged_in=True) as client:
            assert await client.ask(b"c?") == b"+1000\r\n"


async def test_tenth_wrong_password_closes_the_connection(gateway: Gateway) -> None:
    """P18."""
    async with gateway.client() as client:
        client.writer.write(b"a root wrong\r\n" * 15)
        assert await client.rest() == b"-2\r\n" * 10


async def test_session_with_a_command_in_hand_finishes_it_when_the_server_stops(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_now, is_asked = asyncio.Event(), asyncio.Event()

    async def usernames() -> list[str]:
        is_asked.set()
        await answer_now.wait()
        return ["alice"]

    monkeypatch.setattr(gateway.repository, "usernames", usernames)
    async with gateway.client(logged_in=True) as busy, gateway.client() as idle:
        assert await idle.ask(b"nope") == b"-0\r\n"
        busy.writer.write(b"u?\r\nc?\r\n")
        await asyncio.wait_for(is_asked.wait(), 20)
        for connection in list(gateway.server.connections):
            assert isinstance(connection, PeepConnection)
            connection.finish()
        assert await idle.rest() == b""
        answer_now.set()
        assert await busy.rest() == b"+1\r\nalice\r\n"


async def line_by_line(client: socket.socket, lines: list[bytes]) -> list[bytes]:
    """Speak as the protocol's own client does: one line, one recv, which must hold the whole reply."""
    loop = asyncio.get_running_loop()
    replies = []
    for line in lines:
        await loop.sock_sendall(client, line + b"\r\n")
        replies.append(await asyncio.wait_for(loop.sock_recv(client, 65536), 20))
    return replies


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
async def test_client_that_reads_once_finds_the_whole_reply(repository: StateRepository, host: str) -> None:
    """P2, over an IPv6 socket with a mapped address, to an IPv4 and to a dual-stack listener."""
    await add_users(repository, *(f"user{number:03}" for number in range(500)))
    async with running_gateway(repository, host=host) as gateway:
        with socket.socket(socket.AF_INET6) as client:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, ("::ffff:127.0.0.1", gateway.address[1]))
            replies = await line_by_line(client, [b"cap?", LOGIN, b"u?", b"c= 0", b"t?", b"q"])
            assert [connection.address for connection in gateway.server.connections] == ["127.0.0.1"]
    users = b"+500\r\n" + b"".join(b"user%03d\r\n" % number for number in range(500))
    assert replies == [CAPABILITIES, b"+\r\n", users, b"-5\r\n", b"+600\r\n", b"+\r\n"]


async def test_list_of_a_hundred_thousand_users_is_one_reply(
    gateway: Gateway, shared_redis_server: RedisServer
) -> None:
    names = [f"user{number:06}" for number in range(100_000)]
    shared_redis_server.add_users(names)
    async with gateway.client(logged_in=True) as client:
        wanted = "\r\n".join(["+100000", *names, "+1000", "+", ""]).encode()
        assert await client.exchange(b"u?\r\nc?\r\nq\r\n") == wanted


async def test_surplus_arguments_of_a_pipelined_command_are_logged_once(gateway: Gateway) -> None:
    with capture_logs() as events:
        async with gateway.client(logged_in=True) as client:
            client.writer.write(b"cc?\r\nu+ bob pass word\r\nq\r\n")
            assert await client.rest() == b"+0\r\n+\r\n+\r\n"
    assert [event["command"] for event in events if event["event"] == "surplus arguments ignored"] == ["u+"]


async def test_session_outlives_an_outage_of_redis(redis_server: RedisServer) -> None:
    """P16: `-8` to what needs Redis, everything else as ever, and no wrong password counted."""
    repository = StateRepository(redis_server.url)
    async with (
        running_gateway(repository) as gateway,
        gateway.client(logged_in=True) as client,
        gateway.client(source="127.0.0.31") as stranger,
    ):
        redis_server.kill()
        await client.play("C: c?\nS: -8\nC: u+ bob pw\nS: -8\nC: c= 0\nS: -5\nC: h?\nS: -0\nC: c=\nS: -1")
        assert await stranger.ask(LOGIN) == b"-8\r\n"
        redis_server.start()
        await client.play("C: c?\nS: +1000\nC: u+ bob pw\nS: +")
        assert await stranger.ask(LOGIN) == b"+\r\n"
    await repository.close()
