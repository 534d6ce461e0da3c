"""Threads that wait for disks: the event loop never does, and a slow disk delays only its own users (D50)."""

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

LANE_THREADS = 4
"""Jobs of one disk that run at once, while none of them takes long. More threads would only take the
interpreter away from the event loop."""

LONG_SECONDS = 1.0
"""A job that takes longer waits for its disk, or lists a large maildrop: others do not wait for it."""

LONG_THREADS = 4
"""This many long jobs may run in a lane besides; then the lane waits. So a file server that hangs takes eight
threads of a process at the most."""

LONG_THREADS_OF_UNKNOWN = 32
"""The same in the lane of jobs whose disk is not known yet: others of them may be for a healthy one."""

IDLE_THREADS = 8
"""Threads that are kept for the next job."""

_Result = TypeVar("_Result")


class Work(Generic[_Result]):
    """A job for a thread; `answer` is the future of its result."""

    __slots__ = ("_do", "answer", "began", "lane")

    def __init__(self, lane: Hashable, do: Callable[[], _Result]) -> None:
        self.lane = lane
        self.answer: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self.began: float | None = None
        self._do = do

    def withdraw(self) -> None:
        """Cancel the job if it has not begun yet."""
        if self.began is None:
            self.answer.cancel()

    def outcome(self) -> Callable[[], None]:
        """Run the job, in a thread; return the function that sets `answer`, for the event loop to call."""
        try:
            result = self._do()
        except BaseException as error:
            return functools.partial(self._set, self.answer.set_exception, error)
        return functools.partial(self._set, self.answer.set_result, result)

    def _set(self, setter: Callable[[Any], None], value: object) -> None:
        if not self.answer.done():
            setter(value)


class _Lane:
    """The jobs of one disk."""

    def __init__(self, long_threads: int) -> None:
        self.waiting: deque[Work[Any]] = deque()
        self.running: set[Work[Any]] = set()
        self.timer: asyncio.TimerHandle | None = None
        self._long_threads = long_threads

    def has_room(self, now: float) -> bool:
        """Return whether the next job may begin."""
        long = sum(now - (work.began or now) >= LONG_SECONDS for work in self.running)
        return len(self.running) - min(long, self._long_threads) < LANE_THREADS


class DiskThreads:
    """Runs jobs in threads, in one lane for each disk: a slow disk takes no threads from the other lanes.

    Used from one event loop. The threads are daemons: a process ends without waiting for a disk that hangs.
    """

    def __init__(self) -> None:
        self._lanes: dict[Hashable, _Lane] = {}
        self._idle: list[SimpleQueue[Work[Any] | None]] = []

    async def run(self, lane: Hashable, do: Callable[..., _Result], *arguments: object) -> _Result:
        """Return what `do` returns in a thread, or raise what it raises."""
        return await self.begin(lane, do, *arguments).answer

    def begin(self, lane: Hashable, do: Callable[..., _Result], *arguments: object) -> Work[_Result]:
        """Run `do` in a thread once `lane` has room for it; the lane None is for unknown disks."""
        work = Work(lane, functools.partial(do, *arguments))
        if lane not in self._lanes:
            self._lanes[lane] = _Lane(LONG_THREADS_OF_UNKNOWN if lane is None else LONG_THREADS)
        self._lanes[lane].waiting.append(work)
        self._advance(lane)
        return work

    def close(self) -> None:
        """Let idle threads end."""
        for thread in self._idle:
            thread.put(None)
        self._idle.clear()

    def _advance(self, key: Hashable) -> None:
        """Begin the jobs that there is room for; while others wait, try again when more have become long."""
        lane, loop = self._lanes[key], asyncio.get_running_loop()
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        while lane.waiting and lane.has_room(loop.time()):
            work = lane.waiting.popleft()
            if not work.answer.cancelled():
                work.began = loop.time()
                lane.running.add(work)
                self._thread(loop).put(work)
        if lane.waiting:
            lane.timer = loop.call_later(LONG_SECONDS / 2, self._advance, key)
        elif not lane.running:
            del self._lanes[key]

    def _thread(self, loop: asyncio.AbstractEventLoop) -> "SimpleQueue[Work[Any] | None]":
        """Return the queue of a free thread."""
        if self._idle:
            return self._idle.pop()
        queue: SimpleQueue[Work[Any] | None] = SimpleQueue()
        threading.Thread(target=_serve, args=(loop, queue, self._done), name="disk", daemon=True).start()
        return queue

    def _done(
        self, queue: "SimpleQueue[Work[Any] | None]", work: Work[Any], deliver: Callable[[], None]
    ) -> None:
        if len(self._idle) < IDLE_THREADS:
            self._idle.append(queue)
        else:
            queue.put(None)
        self._lanes[work.lane].running.discard(work)
        self._advance(work.lane)
        deliver()


def _serve(
    loop: asyncio.AbstractEventLoop,
    queue: "SimpleQueue[Work[Any] | None]",
    done: Callable[["SimpleQueue[Work[Any] | None]", Work[Any], Callable[[], None]], None],
) -> None:
    while (work := queue.get()) is not None:
        deliver = work.outcome()
        with suppress(RuntimeError):  # the loop is closed: the process ends
            loop.call_soon_threadsafe(done, queue, work, deliver)
        del work, deliver  # else the result would be kept until the next job
