"""Fixtures of tests over a real store."""

import pytest

import line_server.server
from state_store.repository import StateRepository
from support.busy_store import make_busy


@pytest.fixture
async def busy(repository: StateRepository) -> StateRepository:
    """Give a store in which something has happened."""
    await make_busy(repository)
    return repository


@pytest.fixture
def short_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off a third of a second after its dismissal a client that is still there."""
    monkeypatch.setattr(line_server.server, "ABORT_SECONDS", 0.3)
