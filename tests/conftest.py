"""Fixtures that every kind of test may use."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from types import FrameType

import pytest
import redis
from hypothesis import HealthCheck, settings

from state_store.repository import StateRepository
from support.patience import patience_with_the_store
from support.peep_gateway_server import Gateway, running_gateway
from support.redis_server import RedisServer

# How long an example, or to think of one, takes says how busy the machine is, and no more.
settings.register_profile(
    "peep",
    max_examples=int(os.environ.get("PEEP_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("peep")


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer() -> Generator[None, object, object]:
    """End a test that hangs in uvloop, too: it logs what a signal's handler raises, and goes on."""
    result = yield
    fail = signal.getsignal(signal.SIGALRM)

    def fail_in_any_loop(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # no loop is running
            for task in asyncio.all_tasks():
                task.cancel("the test has taken too long")
        assert callable(fail)
        fail(number, frame)

    signal.signal(signal.SIGALRM, fail_in_any_loop)
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests that share an id: of these xdist runs one, and says nothing of the others."""
    shared = [nodeid for nodeid, tests in Counter(item.nodeid for item in items).items() if tests > 1]
    if shared:
        raise pytest.UsageError(f"several tests have the id {', '.join(shared)}")


@pytest.fixture(scope="session")
def shared_redis_server() -> Iterator[RedisServer]:
    """Give the one server that tests share which do not take it away."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def patient_store() -> Iterator[None]:
    """Let a server answer late that nobody takes away: it is the machine that is busy."""
    with patience_with_the_store():
        yield


@pytest.fixture
def redis_url(shared_redis_server: RedisServer, patient_store: None) -> str:
    """Give the URL of a real, empty server."""
    shared_redis_server.flush()
    return shared_redis_server.url


@pytest.fixture
async def repository(redis_url: str) -> AsyncIterator[StateRepository]:
    """Give Peep's state in a real, empty server."""
    made = StateRepository(redis_url)
    await made.prepare()
    yield made
    await made.close()


@pytest.fixture
async def gateway(repository: StateRepository) -> AsyncIterator[Gateway]:
    """Give a PEEP server over that state."""
    async with running_gateway(repository) as running:
        yield running


@pytest.fixture
def behind_the_scenes(shared_redis_server: RedisServer) -> Iterator[redis.Redis]:
    """Give a plain client of the shared server."""
    with shared_redis_server.client() as plain:
        yield plain


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """Give a server of the test's own, which it may kill, pause and start again."""
    with RedisServer() as server:
        yield server
