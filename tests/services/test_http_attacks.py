"""Connections that are left half-way, against the real program: who comes after them is served."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from line_server.descriptors import OWN, RESERVED
from state_api.connection_limits import HEALTH_CONNECTIONS, MAX_OF_NETWORK
from support.api_client import problem
from support.api_process import ADMINISTRATOR, RunningApi, running_api

CONNECTIONS = 600
DESCRIPTORS = 100
MOST = DESCRIPTORS - RESERVED - OWN - HEALTH_CONNECTIONS

HALF_HEAD = b"GET /livez HTTP/1.1\r\nHost: peep\r\nX-"
HALF_BODY = (
    b"POST /session HTTP/1.1\r\nHost: peep\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
)
ATTACKS = (b"", HALF_HEAD, HALF_BODY)

PATIENCE_SECONDS = 30.0
"""Far more than an answer takes, even on a busy machine."""


@contextmanager
def attack(port: int) -> Iterator[list[socket.socket]]:
    """Hold many connections from one address that do nothing any more."""
    with contextlib.ExitStack() as stack:
        held = []
        for number in range(CONNECTIONS):
            client = stack.enter_context(
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
            )
            with contextlib.suppress(ConnectionError):  # it may be in somebody's way already
                client.sendall(ATTACKS[number % len(ATTACKS)])
            held.append(client)
        yield held


@asynccontextmanager
async def neighbour(api: RunningApi, address: str = "127.0.0.2") -> AsyncIterator[httpx.AsyncClient]:
    """Give a client with another address."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(
        transport=transport, base_url=api.client.base_url, auth=ADMINISTRATOR, timeout=PATIENCE_SECONDS
    ) as client:
        yield client


def connections_of(api: RunningApi) -> int:
    """Return how many sockets the program has open beside its port."""
    process_id = api.process.pid
    links = (Path("/proc") / str(process_id) / "fd").iterdir()
    return sum("socket:" in str(_target(link)) for link in links)


def _target(link: Path) -> Path:
    with contextlib.suppress(FileNotFoundError):
        return link.readlink()
    return Path()


@pytest.mark.parametrize("descriptors", [None, DESCRIPTORS])
async def test_connections_left_half_way_keep_nobody_out(
    redis_url: str, tmp_path: Path, descriptors: int | None
) -> None:
    async with running_api(redis_url, tmp_path, descriptors=descriptors) as api, neighbour(api) as other:
        before = connections_of(api)
        with attack(api.port):
            for client in (api.client, other):
                for path in ("/livez", "/readyz", "/v1/version"):
                    assert (await client.get(path)).status_code == 200
            most = MAX_OF_NETWORK if descriptors is None else MOST
            assert connections_of(api) <= before + most + 2
        assert api.log().count("as many http connections as there may be") == 1


async def test_while_all_connections_are_busy_checks_of_health_are_answered_and_the_rest_is_refused(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        running_api(redis_url, tmp_path, descriptors=DESCRIPTORS) as api,
        contextlib.AsyncExitStack() as stack,
        neighbour(api) as other,
    ):
        for _ in range(MOST):
            await stack.enter_async_context(api.client.stream("GET", "/v1/events"))
        for path in ("/livez", "/readyz", "/healthz"):
            assert (await other.get(path)).status_code == 200
        async with neighbour(api) as third:
            response = await third.get("/v1/version")
        problem(response, 503, "/docs#too-many-connections")
        assert (response.headers["retry-after"], response.headers["connection"]) == ("1", "close")
        await stack.aclose()
        async with neighbour(api) as fourth, asyncio.timeout(PATIENCE_SECONDS):
            while (await fourth.get("/v1/version")).status_code != 200:
                await asyncio.sleep(0.02)  # it has not heard of all ends yet


async def test_a_proxys_connections_are_not_counted_as_those_of_one_client(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        running_api(redis_url, tmp_path, PEEP_HTTP_PROXY_TRUSTED="127.0.0.1") as api,
        contextlib.AsyncExitStack() as stack,
    ):
        before = connections_of(api)
        for _ in range(MAX_OF_NETWORK + 20):
            stack.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE_SECONDS))
        assert (await api.client.get("/v1/version")).status_code == 200
        assert connections_of(api) >= before + MAX_OF_NETWORK + 20
