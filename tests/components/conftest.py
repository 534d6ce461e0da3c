"""Fixtures of tests over a real store."""

import pytest

from state_store.redis.repository import RedisRepository
from support.busy_store import make_busy


@pytest.fixture
async def busy(repository: RedisRepository) -> RedisRepository:
    """Give a store in which something has happened."""
    await make_busy(repository)
    return repository
