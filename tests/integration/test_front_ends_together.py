"""PEEP and HTTP over one Redis: what one of them is told, the other knows."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from state_store.redis_repository import RedisRepository
from support.api_client import ADMINISTRATOR, administrator_hash, problem
from support.api_server import ApiServer, api_server
from support.peep_gateway_server import LOGIN, Gateway, running_gateway
from support.peep_gateway_server import administrator_hash as peep_hash

WRONG = httpx.BasicAuth(ADMINISTRATOR, "wrong")


@asynccontextmanager
async def both_front_ends(redis_url: str) -> AsyncIterator[tuple[Gateway, ApiServer]]:
    """Run both, each with its own connections to the store, as if they were on two machines."""
    ours, theirs = RedisRepository(redis_url), RedisRepository(redis_url)
    try:
        await ours.prepare()
        await theirs.prepare()
        async with running_gateway(ours) as gateway, api_server(theirs) as api:
            yield gateway, api
    finally:
        await ours.close()
        await theirs.close()


async def seconds_of(attempt: Callable[[], Awaitable[None]]) -> float:
    started = time.monotonic()
    await attempt()
    return time.monotonic() - started


@pytest.mark.parametrize("first", ["PEEP", "HTTP"])
async def test_wrong_passwords_over_peep_and_http_count_together(redis_url: str, first: str) -> None:
    async with both_front_ends(redis_url) as (gateway, api), gateway.client() as client:

        async def over_peep() -> None:
            assert await client.ask(b"a root wrong") == b"-2\r\n"

        async def over_http() -> None:
            problem(await api.client.get("/v1/version", auth=WRONG), 401, "/docs#unauthenticated")

        one, other = (over_peep, over_http) if first == "PEEP" else (over_http, over_peep)
        for attempt in (one, one, other):
            await attempt()
        assert await seconds_of(one) >= 0.25
        assert await seconds_of(other) >= 0.5
        # Another address waits for nothing.
        async with gateway.client(source="127.0.0.2") as elsewhere:
            assert await elsewhere.ask(b"a root wrong") == b"-2\r\n"


async def test_a_setting_changed_over_peep_makes_a_change_over_http_a_lost_one(redis_url: str) -> None:
    async with both_front_ends(redis_url) as (gateway, api), gateway.client() as client:
        seen = {"If-Match": (await api.client.get("/v1/settings")).headers["etag"]}
        await gateway.repository.replace_administrators({"root": peep_hash()})
        assert await client.ask(LOGIN) == b"+\r\n"
        assert await client.ask(b"t= 5") == b"+\r\n"
        await gateway.repository.replace_administrators({ADMINISTRATOR: administrator_hash()})
        lost = await api.client.patch("/v1/settings", json={"timeout_seconds": 9}, headers=seen)
        problem(lost, 412, "/docs#settings-changed")
        assert await client.ask(b"t?") == b"+5\r\n"
