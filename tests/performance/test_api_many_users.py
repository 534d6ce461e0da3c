"""A hundred thousand users over a real Redis: a page of them costs a page."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

from support.api_process import RunningApi, running_api
from support.redis_server import RedisServer

USERS = 100_000
PAGES: tuple[tuple[str, list[str]], ...] = (
    ("limit=100", ["user000000"]),
    ("limit=1000&after=user050000", ["user050001"]),
    ("limit=100&prefix=user0999", ["user099900"]),
    ("limit=100&prefix=user&after=user099000", ["user099001"]),
    ("limit=100&prefix=nobody", []),
)
"""What is asked for, and the first name of the answer."""

LARGEST_RATIO = 5.0
"""Of what a page takes to what it took before most users were there, the least of `TIMES` each.
Measured: 0.9 to 1.7 on a busy machine; to read all names would make it 20."""

TIMES = 30

OCTETS_A_PAGE = 64 * 1024
"""What the store may send for one page of 100 names; all names are 1.3 MB."""


NAMES = [f"user{number:06}" for number in range(USERS)]
OF_THE_PAGES = [*NAMES[:101], *NAMES[50_001:51_002], *NAMES[99_000:]]


@pytest.fixture
def store(redis_url: str, behind_the_scenes: redis.Redis, shared_redis_server: RedisServer) -> redis.Redis:
    """Give a way to look at a store with those users that the pages show."""
    shared_redis_server.add_users(OF_THE_PAGES)
    return behind_the_scenes


@pytest.fixture
async def api(store: redis.Redis, redis_url: str, tmp_path: Path) -> AsyncIterator[RunningApi]:
    """Give the real program over this store."""
    async with running_api(redis_url, tmp_path) as api:
        yield api


async def test_a_page_takes_as_long_as_in_a_small_store(
    api: RunningApi, shared_redis_server: RedisServer
) -> None:
    seconds = []
    for users in ([], NAMES):
        shared_redis_server.add_users(users)
        seconds.append([await least_seconds(api, query, first) for query, first in PAGES])
    print([f"{few * 1000:.1f} and {many * 1000:.1f} ms" for few, many in zip(*seconds, strict=True)])
    assert all(many < LARGEST_RATIO * few for few, many in zip(*seconds, strict=True))


async def least_seconds(api: RunningApi, query: str, first: list[str]) -> float:
    """Return how long a page takes at least, from the request to the last octet of the answer."""
    page = (await api.client.get(f"/v1/users?{query}")).json()
    assert [user["username"] for user in page["users"][:1]] == first
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        await api.client.get(f"/v1/users?{query}")
        seconds.append(time.perf_counter() - started)
    return min(seconds)


async def test_a_page_asks_the_store_for_no_more_than_a_page(
    api: RunningApi, store: redis.Redis, shared_redis_server: RedisServer
) -> None:
    await api.client.get("/v1/users?limit=100")  # the administrator is known from now on
    shared_redis_server.add_users(NAMES)
    before = octets_sent(store)
    pages = 10
    url = "/v1/users?limit=100&prefix=user05"
    for _ in range(pages):
        response = await api.client.get(url)
        assert len(response.json()["users"]) == 100
        url = response.links["next"]["url"]
    assert (octets_sent(store) - before) / pages < OCTETS_A_PAGE


def octets_sent(store: redis.Redis) -> int:
    """Return how much the store has sent to anybody so far."""
    return int(store.info("stats")["total_net_output_bytes"])
