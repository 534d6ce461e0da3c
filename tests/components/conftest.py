"""Fixtures of tests over a real store."""

import pytest

from state_store.repository import StateRepository
from support.busy_store import make_busy


@pytest.fixture
async def busy(repository: StateRepository) -> StateRepository:
    """Give a store in which something has happened."""
    await make_busy(repository)
    return repository
