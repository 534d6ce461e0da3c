"""`/v1/events` over a real socket and a real store."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import redis
from structlog.testing import capture_logs

from state_api import event_feed, event_stream
from state_store.activities import Activity
from state_store.errors import StoreUnavailable
from state_store.records import Counters, Credential, Exchange, Login
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import ADMINISTRATOR, BASIC, api_client, problem, sign_in
from support.api_server import EventReader, api_server, listening
from support.peep_gateway_server import instance
from support.waiting import until

EVERY_SECOND = event_feed.COUNTERS_SECONDS
LESS_THAN_THE_DRAIN = 20
"""In seconds: for thirty a process waits for clients that do not read."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything come ten times as often."""
    for name in ("COUNTERS_SECONDS", "POLL_SECONDS", "RECHECK_SECONDS"):
        monkeypatch.setattr(event_feed, name, getattr(event_feed, name) / 10)


class WatchedRepository(StateRepository):
    """A repository that counts how often it is asked, and can be out of reach."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_away = False
        self.readings = 0

    async def activity_after(self, activity_id: str, limit: int = 1000) -> tuple[list[Activity], bool]:
        self.readings += 1
        if self.is_away:
            raise StoreUnavailable
        return await super().activity_after(activity_id, limit)


@pytest.fixture
async def watched(redis_url: str) -> AsyncIterator[WatchedRepository]:
    made = WatchedRepository(redis_url)
    await made.prepare()
    yield made
    await made.close()


async def log_in(repository: StateRepository, *usernames: str) -> None:
    """Log these users in and out again."""
    await repository.register_instance(instance())
    for username in usernames:
        await repository.add_user(username, Credential("no-hash", "1"), by=OPERATOR)
        login = Login(username, f"s-{username}", "1", "192.0.2.7:40000")
        await repository.exchange(Exchange("pop3", 0, logins=[login]))
        await repository.exchange(Exchange("pop3", 0, releases=[(username, f"s-{username}")]))


async def log_in_together(repository: StateRepository, usernames: list[str]) -> None:
    """Log these users in and out again, all in one exchange each."""
    await repository.register_instance(instance())
    await repository.add_users([(name, Credential("no-hash", "1")) for name in usernames], by=OPERATOR)
    logins = [Login(name, f"s-{name}", "1", "192.0.2.7:40000") for name in usernames]
    await repository.exchange(Exchange("pop3", 0, logins=logins))
    await repository.exchange(Exchange("pop3", 0, releases=[(name, f"s-{name}") for name in usernames]))


async def ids(repository: StateRepository) -> list[str]:
    """Return the ids of all that the store remembers."""
    return [activity.activity_id for activity in (await repository.activity_after("0-0"))[0]]


async def test_a_fresh_stream_begins_with_the_newest_id_and_the_counters(repository: StateRepository) -> None:
    await log_in(repository, "alice")
    async with api_server(repository) as server, listening(server.client) as reader:
        first, second = await reader.next(), await reader.next()
        assert (first.name, first.event_id) == ("", await repository.last_activity_id())
        assert (second.name, second.event_id) == ("counters", "")
        assert second.data.pop("at").endswith("Z")
        assert (second.data.pop("max_connections"), second.data.pop("users")) == (1000, [])
        assert Counters(**second.data) == await repository.counters()
        assert reader.response.headers["content-type"].startswith("text/event-stream")
        assert reader.response.headers["cache-control"] == "no-store"
        assert "content-length" not in reader.response.headers


async def test_counters_come_every_second(repository: StateRepository) -> None:
    assert EVERY_SECOND == 1.0
    async with api_server(repository) as server, listening(server.client) as reader:
        for _ in range(3):
            await reader.until("counters")


async def test_counters_come_no_more_often(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "COUNTERS_SECONDS", 60.0)
    async with api_server(repository) as server, listening(server.client) as reader:
        await reader.until("counters")
        for username in ("alice", "bob"):
            await log_in(repository, username)
            assert (await reader.next()).name == "login"
            assert (await reader.next()).name == "logout"


async def test_logins_logouts_and_changed_settings_are_told_in_order_and_once(
    repository: StateRepository,
) -> None:
    async with api_server(repository) as server, listening(server.client) as reader:
        await reader.until("counters")
        await log_in(repository, "alice")
        await repository.change_settings(by=OPERATOR, timeout_seconds=5)
        login, logout = await reader.until("login"), await reader.until("logout")
        setting = await reader.until("setting")
    assert login.data.pop("at").endswith("Z")
    assert login.data == {
        "username": "alice",
        "session": "s-alice",
        "instance": "pop3",
        "address": "192.0.2.7:40000",
    }
    assert set(logout.data) == {"username", "session", "instance", "at"}
    assert (setting.data["name"], setting.data["value"]) == ("timeout_seconds", "5")
    assert [login.event_id, logout.event_id, setting.event_id] == await ids(repository)


async def test_who_comes_back_is_told_what_was_missed_and_nothing_twice(repository: StateRepository) -> None:
    await log_in(repository, "alice", "bob")
    _, seen, *_ = await ids(repository)
    async with api_server(repository) as server, listening(server.client) as other:
        await other.until("counters")
        async with listening(server.client, last_event_id=seen) as reader:
            await log_in(repository, "carol")
            told = [(await reader.until("login", "logout", "gap")).event_id for _ in range(4)]
    assert told == (await ids(repository))[2:]


async def test_who_comes_back_in_the_midst_of_an_exchange_is_told_its_rest_by_any_replica(
    repository: StateRepository,
) -> None:
    await log_in(repository, "alice", "bob", "carol")
    names = ["alice", "bob", "carol"]
    logins = [Login(name, f"t-{name}", "1", "192.0.2.7:40000") for name in names]
    async with api_server(repository) as server, listening(server.client) as reader:
        await reader.until("counters")
        await repository.exchange(Exchange("pop3", 0, logins=logins))
        await repository.exchange(Exchange("pop3", 0, releases=[(name, f"t-{name}") for name in names]))
        seen = [await reader.until("login", "logout", "gap") for _ in range(6)]
    assert [event.event_id for event in seen] == (await ids(repository))[6:]
    assert [event.data["session"] for event in seen] == 2 * ["t-alice", "t-bob", "t-carol"]
    for number in range(5):
        async with (
            api_server(repository) as other,
            listening(other.client, last_event_id=seen[number].event_id) as again,
        ):
            told = [await again.until("login", "logout", "gap") for _ in seen[number + 1 :]]
            assert told == seen[number + 1 :]


@pytest.mark.parametrize("last_event_id", ["", "x", "1", "1-", "-1-0", "1-0-0", "9" * 19 + "-0", "1-0\u00b2"])
async def test_what_is_no_id_counts_as_none(repository: StateRepository, last_event_id: str) -> None:
    await log_in(repository, "alice")
    async with api_server(repository) as server:
        headers = [(b"Last-Event-ID", last_event_id.encode())]
        async with server.client.stream("GET", "/v1/events", headers=headers) as response:
            reader = EventReader(response)
            names = [(await reader.next()).name for _ in range(2)]
    assert names == ["", "counters"]


async def test_events_that_are_no_longer_kept_are_a_gap(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await log_in(repository, "alice", "bob", "carol")
    seen = (await ids(repository))[0]
    behind_the_scenes.xtrim(keys.ACTIVITY, maxlen=4, approximate=False)
    async with api_server(repository) as server, listening(server.client, last_event_id=seen) as reader:
        assert (await reader.next()).name == "gap"
        assert [(await reader.next()).event_id for _ in range(4)] == await ids(repository)


async def test_an_id_that_the_store_never_gave_is_a_gap_and_the_stream_goes_on(
    repository: StateRepository,
) -> None:
    async with api_server(repository) as server, listening(server.client, last_event_id="77-0") as reader:
        await reader.until("gap")
        await reader.until("counters")
        assert reader.last_event_id == "0-0"
        await log_in(repository, "alice")
        assert [(await reader.until("login")).event_id] == (await ids(repository))[:1]


async def test_an_outage_is_told_once_and_nothing_is_missed_over_it(watched: WatchedRepository) -> None:
    async with api_server(watched) as server, listening(server.client) as reader:
        await reader.until("counters")
        watched.is_away = True
        assert (await reader.until("store")).data == {"up": False}
        await log_in(watched, "alice")
        since = watched.readings
        await until(lambda: watched.readings > since + 2)
        watched.is_away = False
        back = await reader.next()
        assert (back.name, back.data) == ("store", {"up": True})
        assert [(await reader.until("login", "store")).event_id] == (await ids(watched))[:1]


async def test_who_comes_during_an_outage_is_told_of_it(watched: WatchedRepository) -> None:
    async with api_server(watched) as server, listening(server.client) as first:
        await first.until("counters")
        watched.is_away = True
        await first.until("store")
        async with listening(server.client) as second:
            event = await second.next()
            assert (event.name, event.data) == ("store", {"up": False})
            watched.is_away = False
            assert (await second.until("store")).data == {"up": True}
            await second.until("counters")


async def test_a_silent_stream_is_kept_alive_by_comments(
    watched: WatchedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.05)
    async with api_server(watched) as server, listening(server.client) as reader:
        await reader.until("counters")
        watched.is_away = True
        await reader.until("store")
        for _ in range(3):
            assert (await reader.next()).name == ""
    assert reader.comments


async def test_all_streams_share_one_reader_which_rests_when_nobody_listens(
    watched: WatchedRepository,
) -> None:
    async with api_server(watched) as server:
        async with listening(server.client) as one, listening(server.client) as other:
            for reader in (one, other, one, other):
                await reader.until("counters")
            assert readers() == 1
        await until(lambda: readers() == 0)
        since = watched.readings
        async with listening(server.client) as again:
            await again.until("counters")
            assert readers() == 1
        assert watched.readings > since


def readers() -> int:
    """Return how many tasks read the store for streams."""
    return len([task for task in asyncio.all_tasks() if "EventFeed._read" in repr(task)])


async def test_a_process_that_is_told_to_stop_ends_its_streams_and_itself_soon(
    repository: StateRepository,
) -> None:
    async with api_server(repository) as server, listening(server.client) as reader:
        await reader.until("counters")
        server.stopping.set()
        assert all(event.name == "counters" for event in await reader.to_the_end())
        await asyncio.wait_for(server.serving, LESS_THAN_THE_DRAIN)


async def test_a_process_that_is_about_to_stop_begins_no_stream(repository: StateRepository) -> None:
    async with api_client(repository, is_draining=lambda: True) as client:
        problem(await client.get("/v1/events"), 503, "/docs#draining")


@pytest.mark.parametrize("hashes", [{}, {ADMINISTRATOR: "$argon2id$another"}])
async def test_a_stream_ends_within_seconds_when_its_administrator_is_changed(
    repository: StateRepository, hashes: dict[str, str]
) -> None:
    async with api_server(repository) as server, listening(server.client) as reader:
        await reader.until("counters")
        await repository.replace_administrators(hashes, by=OPERATOR)
        await reader.to_the_end()


async def test_a_stream_of_the_dashboard_ends_within_seconds_when_its_administrator_signs_out(
    repository: StateRepository,
) -> None:
    async with api_server(repository) as server:
        server.client.auth = httpx.Auth()  # sends nothing
        token = await sign_in(server.client)
        async with listening(server.client) as reader:
            await reader.until("counters")
            await server.client.delete("/session", headers={"X-CSRF-Token": token})
            await reader.to_the_end()


async def test_more_streams_than_there_may_be_are_refused_until_one_ends(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "MAX_STREAMS", 1)
    async with api_server(repository) as server:
        async with listening(server.client) as reader:
            await reader.until("counters")
            refused = await server.client.get("/v1/events")
            problem(refused, 503, "/docs#too-many-streams")
            assert refused.headers["retry-after"] == "10"
        async with asyncio.timeout(LESS_THAN_THE_DRAIN):
            while (await server.client.head("/v1/events")).status_code != 200:
                await asyncio.sleep(0.01)


async def test_head_is_answered_with_the_headers_of_a_stream_and_ends(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        response = await client.head("/v1/events")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")


async def test_a_stream_is_logged_at_its_end_with_its_administrator(repository: StateRepository) -> None:
    with capture_logs() as events:
        async with api_server(repository) as server:
            async with listening(server.client) as reader:
                await reader.until("counters")
                assert not [event for event in events if event["event"] == "request"]
            await until(lambda: any(event["event"] == "request" for event in events))
    (request,) = [event for event in events if event["event"] == "request"]
    assert (request["path"], request["status"]) == ("/v1/events", 200)
    assert request["administrator"] == ADMINISTRATOR
    assert [event for event in events if event["log_level"] in ("warning", "error")] == []


async def test_a_listener_that_does_not_read_is_cut_off_and_the_others_go_on(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MAX_WAITING_CHUNKS", 2)
    with capture_logs() as events:
        async with (
            api_server(repository, send_buffer=4096) as server,
            deaf_listener(server.port),
            listening(server.client) as reader,
        ):
            await reader.until("counters")
            for first in range(0, 400, 40):
                await log_in_together(repository, [f"u{number}" for number in range(first, first + 40)])
                await caught_up(reader, repository)  # so they come to the other one in a chunk of their own
            await until(lambda: bool([event for event in events if event["event"] == "request"]))
            assert [event["event"] for event in events if event["log_level"] == "warning"] == [
                "event stream cut off: its client does not read"
            ]
            await reader.until("counters")


# What the first leaves unread fits into the transport's buffer, so it is sent as far as the stream can tell.
@pytest.mark.parametrize("users", [120, 400])
async def test_a_listener_that_does_not_read_holds_up_no_end_of_the_process(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch, users: int
) -> None:
    monkeypatch.setattr(event_stream, "MAX_WAITING_CHUNKS", 10_000)  # it shall not be cut off before that
    with capture_logs() as events:
        async with (
            api_server(repository, send_buffer=4096) as server,
            deaf_listener(server.port),
            listening(server.client) as reader,
        ):
            await reader.until("counters")
            await log_in_together(repository, [f"u{number}" for number in range(users)])
            await caught_up(reader, repository)
            server.stopping.set()
            await asyncio.wait_for(server.serving, LESS_THAN_THE_DRAIN)
    assert [event["status"] for event in events if event["event"] == "request"] == [200, 200]
    assert [event for event in events if event["log_level"] in ("warning", "error")] == []


async def caught_up(reader: EventReader, repository: StateRepository) -> None:
    """Read all events that there are by now."""
    last = await repository.last_activity_id()
    while reader.last_event_id != last:
        await reader.next()


@asynccontextmanager
async def deaf_listener(port: int) -> AsyncIterator[None]:
    """Open a stream, and never read more of it than its first octets."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", port))
        request = next(BASIC.auth_flow(httpx.Request("GET", "http://peep/v1/events")))
        lines = [
            "GET /v1/events HTTP/1.1",
            "Host: peep",
            f"Authorization: {request.headers['Authorization']}",
        ]
        await loop.sock_sendall(deaf, "\r\n".join([*lines, "", ""]).encode())
        assert await loop.sock_recv(deaf, len("HTTP/1.1 200")) == b"HTTP/1.1 200"
        yield
