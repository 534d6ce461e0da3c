"""Threads for disks: what one keeps waiting takes nothing from the others."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from pop3_service import disk
from pop3_service.disk import LANE_THREADS, LONG_THREADS, LONG_THREADS_OF_UNKNOWN, DiskThreads

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
async def threads() -> AsyncIterator[DiskThreads]:
    threads = DiskThreads()
    yield threads
    threads.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give what work of a disk that hangs waits for."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_what_work_returns_or_raises_is_told(threads: DiskThreads) -> None:
    assert await threads.run(1, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(1, divmod, 7, 0)


async def test_work_is_done_in_other_threads_that_hold_up_no_end(threads: DiskThreads) -> None:
    thread = await threads.run(1, threading.current_thread)
    assert thread is not threading.current_thread()
    assert thread.daemon


async def test_threads_are_used_again(threads: DiskThreads) -> None:
    assert len({await threads.run(lane, threading.get_ident) for lane in range(10)}) == 1


async def test_a_lane_that_is_busy_leaves_the_others_alone(
    threads: DiskThreads, gate: threading.Event
) -> None:
    works = [threads.begin("sick", gate.wait) for _ in range(LANE_THREADS + 1)]
    assert await threads.run("healthy", str) == ""
    assert [work.began is not None for work in works] == [True] * LANE_THREADS + [False]
    gate.set()
    await asyncio.gather(*(work.answer for work in works))


async def test_work_that_takes_long_lets_the_next_begin(
    threads: DiskThreads, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "LONG_SECONDS", 0.01)
    for _ in range(LANE_THREADS):
        threads.begin(1, gate.wait)
    assert await threads.run(1, str) == ""


@pytest.mark.parametrize(("lane", "long"), [("known", LONG_THREADS), (None, LONG_THREADS_OF_UNKNOWN)])
async def test_only_so_much_of_a_lane_may_take_long(
    threads: DiskThreads,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    lane: str | None,
    long: int,
) -> None:
    monkeypatch.setattr(disk, "LONG_SECONDS", 0.0)
    works = [threads.begin(lane, gate.wait) for _ in range(LANE_THREADS + long + 1)]
    assert [work.began is not None for work in works] == [True] * (LANE_THREADS + long) + [False]
    gate.set()
    await asyncio.gather(*(work.answer for work in works))


async def test_work_that_is_withdrawn_in_time_is_not_done(
    threads: DiskThreads, gate: threading.Event
) -> None:
    done: list[str] = []
    works = [threads.begin(1, gate.wait) for _ in range(LANE_THREADS)]
    late = threads.begin(1, done.append, "late")
    for work in works:
        work.withdraw()
    late.withdraw()
    gate.set()
    assert await asyncio.gather(*(work.answer for work in works)) == [True] * LANE_THREADS
    assert await threads.run(1, str) == ""
    assert done == []
    assert late.answer.cancelled()


async def test_work_whose_asker_has_gone_comes_to_its_end(
    threads: DiskThreads, gate: threading.Event
) -> None:
    done = threading.Event()

    def work() -> None:
        gate.wait()
        done.set()

    asker = asyncio.create_task(threads.run(1, work))
    await asyncio.sleep(0)
    asker.cancel()
    gate.set()
    assert await threads.run(2, done.wait, 10)
    assert await threads.run(1, str) == ""
