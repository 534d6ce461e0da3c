"""The store in both forms, for tests of what they have in common."""

from collections.abc import AsyncIterator

import pytest

from state_store.memory_repository import MemoryRepository
from state_store.redis.repository import RedisRepository
from state_store.repository import StateRepository


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
