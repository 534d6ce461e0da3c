"""The store in both forms, for tests of what they have in common."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from state_store.memory_repository import MemoryRepository
from state_store.redis.repository import RedisRepository
from state_store.repository import StateRepository
from support.redis_server import RedisServer


@pytest.fixture(params=["memory", "redis"])
async def repository(request: pytest.FixtureRequest) -> AsyncIterator[StateRepository]:
    made: StateRepository
    if request.param == "memory":
        made = MemoryRepository()
    else:
        made = RedisRepository(request.getfixturevalue("redis_url"))
    await made.prepare()
    yield made
    await made.close()


@pytest.fixture
def behind_the_scenes(shared_redis_server: RedisServer) -> Iterator[redis.Redis]:
    with shared_redis_server.client() as client:
        yield client
