"""Fixtures of tests over a real store."""

from collections.abc import AsyncIterator

import httpx
import pytest

import line_server.server
from state_api import health_report
from state_store.repository import StateRepository
from support.api_client import api_client
from support.busy_store import make_busy


@pytest.fixture
async def busy(repository: StateRepository) -> StateRepository:
    """Give a store in which something has happened."""
    await make_busy(repository)
    return repository


@pytest.fixture
async def client(repository: StateRepository) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the HTTP API over that store, which asks as its administrator."""
    async with api_client(repository) as made:
        yield made


@pytest.fixture(autouse=True)
def patient_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a store that answers late be well: it is the machine that is busy."""
    monkeypatch.setattr(health_report, "ROUND_TRIP_SECONDS", health_report.Limits(20.0, 60.0))


@pytest.fixture
def short_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off a third of a second after its dismissal a client that is still there."""
    monkeypatch.setattr(line_server.server, "ABORT_SECONDS", 0.3)
