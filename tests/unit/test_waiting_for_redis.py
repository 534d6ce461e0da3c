"""A service waits for Redis at its start, says so once, and can be stopped meanwhile."""

import pytest
import structlog
from structlog.testing import capture_logs

from service_runtime import waiting
from service_runtime.lifecycle import Lifecycle
from service_runtime.waiting import prepare_patiently
from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.repository import StateRepository

URL = "redis://peep:hunter2@redis.example:6379/0?password=hunter3"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_PAUSE_SECONDS", 0.001)


class LateRepository(StateRepository):
    """Can be reached at the `available_at`th attempt."""

    def __init__(self, available_at: int, lifecycle: Lifecycle | None = None) -> None:
        super().__init__(URL)
        self.attempts = 0
        self._available_at = available_at
        self._lifecycle = lifecycle

    async def prepare(self) -> None:
        self.attempts += 1
        if self._lifecycle is not None:
            self._lifecycle.stop()
        if self.attempts < self._available_at:
            raise StoreUnavailable("connection refused")


async def test_redis_that_is_there_is_not_worth_a_word() -> None:
    with capture_logs() as events:
        assert await prepare_patiently(LateRepository(1), log, URL, Lifecycle())
    assert events == []


async def test_waiting_is_said_once_and_so_is_its_end_without_the_password() -> None:
    repository = LateRepository(4)
    with capture_logs() as events:
        assert await prepare_patiently(repository, log, URL, Lifecycle())
    assert repository.attempts == 4
    assert [(event["event"], event["redis"]) for event in events] == [
        ("waiting for redis", "redis.example:6379"),
        ("redis is there", "redis.example:6379"),
    ]
    assert "hunter" not in repr(events)


async def test_waiting_says_a_new_reason_once() -> None:
    reasons = ["connection refused", "connection refused", "out of memory", "out of memory"]

    class Changing(StateRepository):
        async def prepare(self) -> None:
            if reasons:
                raise StoreUnavailable(reasons.pop(0))

    with capture_logs() as events:
        assert await prepare_patiently(Changing(URL), log, URL, Lifecycle())
    assert [(event["event"], event.get("reason")) for event in events] == [
        ("waiting for redis", "connection refused"),
        ("waiting for redis", "out of memory"),
        ("redis is there", None),
    ]


async def test_waiting_ends_when_the_process_is_to_stop() -> None:
    lifecycle = Lifecycle()
    repository = LateRepository(1000, lifecycle)
    assert not await prepare_patiently(repository, log, URL, lifecycle)
    assert repository.attempts == 1


async def test_server_that_can_never_serve_us_is_not_waited_for() -> None:
    class OldServer(StateRepository):
        async def prepare(self) -> None:
            raise StoreUnusable("Redis 6.2 is too old")

    with pytest.raises(StoreUnusable, match="too old"):
        await prepare_patiently(OldServer(URL), log, URL, Lifecycle())
