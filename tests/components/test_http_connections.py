"""HTTP connections whose clients are late: over real sockets, with short limits."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from state_api import event_feed
from state_api.http_connection import TimeLimits
from state_store.records import Credential
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import BASIC
from support.api_server import ApiServer, api_server, listening

ANSWER_SECONDS = 20
"""Far more than any limit here: who waits for so long has found one that does not hold."""

SECONDS = 0.4
SHORT = TimeLimits(head=SECONDS, body=SECONDS, rest=SECONDS, idle=SECONDS, reading=SECONDS)
LONG = TimeLimits(head=60, body=60, rest=60, idle=60, reading=60)

HEAD = b"GET /livez HTTP/1.1\r\nHost: peep\r\n"
WHOLE = HEAD + b"\r\n"
ADD_USER = (
    b"POST /session HTTP/1.1\r\nHost: peep\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n"
)


@asynccontextmanager
async def raw(server: ApiServer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, and close at the end whatever came of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Return what comes up to the end of the connection."""
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(), ANSWER_SECONDS)
    return b""


def late(answer: bytes) -> None:
    """Check an answer to a request that did not come in time."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n"), answer
    assert b"connection: close" in head.lower()
    assert json.loads(body)["status"] == 408


@pytest.mark.parametrize("sent", [b"GET /livez HT", HEAD, WHOLE + HEAD])
async def test_half_a_head_is_answered_408_and_closed(repository: StateRepository, sent: bytes) -> None:
    async with (
        api_server(repository, time_limits=replace(LONG, head=SECONDS)) as server,
        raw(server) as (reader, writer),
    ):
        writer.write(sent)
        answer = await all_of(reader)
        late(answer[answer.index(b"HTTP/1.1 408") :])
        assert answer.startswith(b"HTTP/1.1 200") == sent.startswith(WHOLE)


async def test_a_silent_connection_is_closed_without_a_word(repository: StateRepository) -> None:
    async with (
        api_server(repository, time_limits=replace(LONG, head=SECONDS)) as server,
        raw(server) as (reader, _),
    ):
        assert await all_of(reader) == b""


async def test_a_head_that_comes_octet_by_octet_has_no_more_time_for_it(repository: StateRepository) -> None:
    async with (
        api_server(repository, time_limits=replace(LONG, head=SECONDS)) as server,
        raw(server) as (reader, writer),
    ):

        async def drip() -> None:
            for octet in HEAD + b"X-Long: " + b"x" * 10_000:
                writer.write(bytes([octet]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        # An octet that crosses the server's close costs the client the answer.
        if answer := await all_of(reader):
            late(answer)
        assert not dripping.done()
        dripping.cancel()


@pytest.mark.parametrize(
    "head", [ADD_USER, ADD_USER.replace(b"Content-Length: 60", b"Transfer-Encoding: chunked")]
)
async def test_half_a_body_is_answered_408_and_closed(repository: StateRepository, head: bytes) -> None:
    async with (
        api_server(repository, time_limits=replace(LONG, body=SECONDS)) as server,
        raw(server) as (reader, writer),
    ):
        writer.write(head + (b'5\r\n{"nam' if b"chunked" in head else b'{"nam'))
        late(await all_of(reader))


async def test_a_body_that_nobody_wants_is_not_waited_for_long(repository: StateRepository) -> None:
    async with (
        api_server(repository, time_limits=replace(LONG, rest=SECONDS)) as server,
        raw(server) as (reader, writer),
    ):
        writer.write(WHOLE.replace(b"\r\n\r\n", b"\r\nContent-Length: 60000\r\n\r\nhalf"))

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        answer = await asyncio.wait_for(reader.readuntil(b'{"status":"alive"}'), ANSWER_SECONDS)
        assert answer.startswith(b"HTTP/1.1 200")
        assert await all_of(reader) == b""
        dripping.cancel()


async def test_a_body_that_comes_after_its_answer_leaves_the_connection_good_for_the_next_request(
    repository: StateRepository,
) -> None:
    async with api_server(repository, time_limits=LONG) as server, raw(server) as (reader, writer):
        for _ in range(2):
            writer.write(WHOLE.replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\nha"))
            answer = await asyncio.wait_for(reader.readuntil(b'{"status":"alive"}'), ANSWER_SECONDS)
            assert answer.startswith(b"HTTP/1.1 200")
            writer.write(b"lf")


async def test_a_connection_that_asks_no_more_is_closed_when_its_time_is_over(
    repository: StateRepository,
) -> None:
    async with (
        api_server(repository, time_limits=replace(LONG, idle=SECONDS)) as server,
        raw(server) as (reader, writer),
    ):
        writer.write(WHOLE)
        answer = await all_of(reader)
        assert answer.count(b"HTTP/1.1") == 1
        assert answer.startswith(b"HTTP/1.1 200")


async def test_who_does_not_read_an_answer_is_cut_off(repository: StateRepository) -> None:
    for number in range(1000):
        await repository.add_user(f"{number:0128}", Credential("no-hash", "1"), by=OPERATOR)
    async with api_server(repository, time_limits=replace(LONG, reading=SECONDS), send_buffer=4096) as server:
        credentials = next(BASIC.auth_flow(httpx.Request("GET", "http://peep"))).headers["Authorization"]
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(ANSWER_SECONDS)
            await asyncio.to_thread(client.connect, ("127.0.0.1", server.port))
            request = WHOLE.replace(b"/livez", b"/v1/users?limit=1000")
            client.sendall(request.replace(b"\r\n\r\n", f"\r\nAuthorization: {credentials}\r\n\r\n".encode()))
            async with asyncio.timeout(ANSWER_SECONDS):
                while server.connections() != 1:  # the connection is there
                    await asyncio.sleep(0.01)
                while server.connections():
                    await asyncio.sleep(0.01)


async def test_streams_of_events_outlive_all_limits(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "COUNTERS_SECONDS", 0.3)
    async with (
        api_server(repository, time_limits=SHORT) as server,
        listening(server.client) as reader,
    ):
        for _ in range(4):
            await reader.until("counters")


async def test_connections_without_a_request_keep_nobody_out(repository: StateRepository) -> None:
    async with api_server(repository, time_limits=LONG) as server, contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(raw(server)) for _ in range(300)]
        for number, (_, writer) in enumerate(held):
            writer.write((b"", HEAD, ADD_USER + b"{")[number % 3])
        response = await server.client.get("/v1/counters")
        assert response.status_code == 200
        assert server.connections() <= 100
        assert [await all_of(reader) for reader, _ in held[:200]] == [b""] * 200
