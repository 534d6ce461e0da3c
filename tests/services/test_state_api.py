"""The real program `python -m state_api` over a real Redis that may go away."""

import asyncio
import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from state_store.redis import keys
from state_store.redis.faults import ANSWER_SECONDS
from support.api_process import ADMINISTRATOR, END_SECONDS, START_SECONDS, environment, running_api
from support.redis_server import RedisServer
from support.waiting import until


@asynccontextmanager
async def raw_connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, and close at the end whatever came of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def raw_answer(port: int, request: bytes) -> bytes:
    """Return all that is answered to these octets up to the server's close."""
    async with raw_connection(port) as (reader, writer):
        writer.write(request)
        return await asyncio.wait_for(reader.read(), END_SECONDS)


async def run_to_its_end(arguments: list[str], given: dict[str, str]) -> tuple[int, str]:
    """Run the program and return its exit code and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "state_api", *arguments],
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), START_SECONDS)
    assert process.returncode is not None
    return process.returncode, output.decode()


async def until_ready(client: httpx.AsyncClient) -> None:
    """Ask again and again until the service is ready."""
    async with asyncio.timeout(END_SECONDS):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.02)


async def until_refused(port: int) -> None:
    """Connect again and again until nobody listens."""
    async with asyncio.timeout(END_SECONDS):
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                async with raw_connection(port):
                    await asyncio.sleep(0.02)


async def test_it_serves_what_the_store_holds(redis_url: str, tmp_path: Path) -> None:
    async with running_api(redis_url, tmp_path, PEEP_MAIL_DIR="/srv/mail") as api:
        assert (await api.client.get("/readyz")).json() == {"status": "ready", "warnings": []}
        user = {"username": "alice", "password": "secret-of-alice"}
        assert (await api.client.post("/v1/users", json=user)).status_code == 201
        users = (await api.client.get("/v1/users")).json()["users"]
        assert [user["username"] for user in users] == ["alice"]
        await api.client.patch("/v1/settings", json={"max_connections": 420})
        settings = (await api.client.get("/v1/settings")).json()
        assert settings == {"max_connections": 420, "timeout_seconds": 600, "mail_directory": "/srv/mail"}
        assert (await api.client.get("/v1/sessions")).json() == {"sessions": []}
        with redis.Redis.from_url(redis_url) as store:
            await until(lambda: bool(store.exists(keys.HEALTH_WATCHER)))  # it watches whoever looks
        families = text_string_to_metric_families((await api.client.get("/metrics")).text)
        samples = {sample.name: sample.value for family in families for sample in family.samples}
        assert (samples["peep_store_up"], samples["peep_pop3_max_connections"]) == (1, 420)
        assert '"user added"' in api.log()
        assert ADMINISTRATOR[1] not in api.log()
        assert "secret-of-alice" not in api.log()


async def test_a_broken_request_is_answered_and_ends_nothing(redis_url: str, tmp_path: Path) -> None:
    async with running_api(redis_url, tmp_path) as api:
        assert (await raw_answer(api.port, b"\0\xff nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert "server" not in (await api.client.get("/livez")).headers
        events = [line for line in api.log().splitlines() if "Invalid HTTP request" in line]
        assert len(events) == 1
        assert events[0].startswith("{")


async def test_head_is_answered_without_a_body(redis_url: str, tmp_path: Path) -> None:
    async with running_api(redis_url, tmp_path) as api:
        request = b"HEAD /livez HTTP/1.1\r\nHost: peep\r\nConnection: close\r\n\r\n"
        answer = await raw_answer(api.port, request)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("outage", ["killed", "silent"])
async def test_an_outage_of_redis_shows_at_once_and_passes(
    redis_server: RedisServer, tmp_path: Path, outage: str
) -> None:
    async with running_api(redis_server.url, tmp_path) as api:
        assert (await api.client.get("/v1/counters")).status_code == 200
        redis_server.kill() if outage == "killed" else redis_server.pause()
        started = time.monotonic()
        response = await api.client.get("/v1/counters")
        seconds = time.monotonic() - started
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.headers["content-type"] == "application/problem+json"
        # The store is asked once, and not again: that would take as long once more.
        assert seconds < 2 * ANSWER_SECONDS
        assert (await api.client.get("/readyz")).status_code == 503
        assert (await api.client.get("/livez")).status_code == 200
        assert "\npeep_store_up 0.0\n" in (await api.client.get("/metrics")).text
        redis_server.start() if outage == "killed" else redis_server.resume()
        await until_ready(api.client)
        assert (await api.client.get("/v1/counters")).status_code == 200


async def test_sigterm_ends_it_with_0_whatever_connections_are_open(redis_url: str, tmp_path: Path) -> None:
    async with running_api(redis_url, tmp_path, PEEP_DRAIN_SECONDS="1") as api:
        await api.client.get("/livez")  # this connection is kept alive
        async with raw_connection(api.port) as (reader, writer):
            writer.write(b"GET /livez HTTP/1.1\r\n")  # and this request never ends
            api.process.terminate()
            assert await api.exit_code() == 0
            assert await reader.read() == b""
        assert '"stopped"' in api.log()


async def test_a_request_that_never_ends_delays_the_end_by_the_drain_time(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        running_api(redis_url, tmp_path, PEEP_DRAIN_SECONDS="1") as api,
        raw_connection(api.port) as (reader, writer),
    ):
        writer.write(post_head(octets=100) + b"\r\n")
        assert b" 100 " in await reader.readline()  # the request is under way
        started = time.monotonic()
        api.process.terminate()
        assert await api.exit_code() == 0
        assert time.monotonic() - started >= 1


async def test_a_request_under_way_is_answered_before_the_end(redis_url: str, tmp_path: Path) -> None:
    async with running_api(redis_url, tmp_path) as api:
        body = b'{"username": "alice", "password": "secret"}'
        async with raw_connection(api.port) as (reader, writer):
            writer.write(post_head(octets=len(body)) + b"\r\n")
            assert b" 100 " in await reader.readline()  # the request is under way
            api.process.terminate()
            await until_refused(api.port)
            writer.write(body)
            answer = await asyncio.wait_for(reader.read(), END_SECONDS)
        assert b"HTTP/1.1 201 " in answer
        assert await api.exit_code() == 0


def post_head(octets: int) -> bytes:
    """Return a POST up to its body, which is asked for when somebody reads it."""
    credentials = base64.b64encode(":".join(ADMINISTRATOR).encode())
    lines = [b"POST /v1/users HTTP/1.1", b"Host: peep", b"Authorization: Basic " + credentials]
    lines += [b"Content-Type: application/json", b"Expect: 100-continue", b"Content-Length: %d" % octets]
    return b"".join(line + b"\r\n" for line in lines)


async def test_the_first_administrator_is_made_and_shown_once(redis_url: str, tmp_path: Path) -> None:
    async with running_api(redis_url, tmp_path, PEEP_ADMINS="") as api:
        words = api.output().split()
        password = words[words.index("password") + 1]
        assert (await api.client.get("/v1/counters", auth=("admin", password))).status_code == 200
        assert password not in api.log()
    async with running_api(redis_url, tmp_path, PEEP_ADMINS="") as api:
        assert api.output() == ""
        assert (await api.client.get("/v1/counters", auth=("admin", password))).status_code == 200


async def test_readiness_fails_first_where_notice_is_given_and_requests_are_served_meanwhile(
    redis_url: str, tmp_path: Path
) -> None:
    async with running_api(redis_url, tmp_path, PEEP_DRAIN_NOTICE_SECONDS="300") as api:
        await until_ready(api.client)
        api.process.terminate()
        async with asyncio.timeout(END_SECONDS):
            while (await api.client.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.02)
        assert (await api.client.get("/v1/counters")).status_code == 200


async def test_port_is_closed_when_the_notice_is_over(redis_url: str, tmp_path: Path) -> None:
    notice = 1.0
    async with running_api(redis_url, tmp_path, PEEP_DRAIN_NOTICE_SECONDS=str(notice)) as api:
        await until_ready(api.client)
        began = time.monotonic()
        api.process.terminate()
        await until_refused(api.port)
        assert time.monotonic() - began > notice
        assert await api.exit_code() == 0


async def test_health_asks_the_running_service(redis_server: RedisServer, tmp_path: Path) -> None:
    async with running_api(redis_server.url, tmp_path) as api:
        given = {**api.environment, "PEEP_HTTP_PORT": str(api.port)}
        assert await run_to_its_end(["health"], given) == (0, f"state-api: ready on 127.0.0.1:{api.port}\n")
        redis_server.kill()
        code, line = await run_to_its_end(["health"], given)
        assert (code, "Redis does not answer" in line) == (1, True)
    code, line = await run_to_its_end(["health"], given)
    assert (code, "no answer from" in line) == (1, True)


async def test_it_waits_for_redis_and_can_be_stopped_meanwhile(tmp_path: Path) -> None:
    given = environment(f"unix://{tmp_path}/nobody.sock")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "state_api", env=given, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), START_SECONDS)
    assert b"waiting for redis" in line
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), END_SECONDS)
    assert process.returncode == 0


async def test_help_lists_the_variables() -> None:
    code, output = await run_to_its_end(["--help"], dict(os.environ))
    assert code == 0
    assert "PEEP_HTTP_PORT" in output
    assert "health" in output
