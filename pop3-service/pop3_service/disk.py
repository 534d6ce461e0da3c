"""Threads that wait for disks, so that the event loop never does, and no disk makes another's users wait."""

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

LANE_THREADS = 4
"""Work for one disk that may be under way at once, as long as none of it takes long: more threads would only
take the interpreter away from the event loop."""

LONG_SECONDS = 1.0
"""Work that takes longer waits for a disk, or is a large maildrop's: others need not wait for it."""

LONG_THREADS = 4
"""So much of it may be under way in a lane besides; then the lane waits. So a file server that hangs takes
eight threads of a process at the most."""

LONG_THREADS_OF_UNKNOWN = 32
"""The same where the disk that the work is for is not known yet: it may be a healthy one."""

IDLE_THREADS = 8
"""Threads that are kept for the next work."""

_Result = TypeVar("_Result")


class Work(Generic[_Result]):
    """Something that a thread does; `answer` is a future of what comes of it."""

    __slots__ = ("_do", "answer", "began", "lane")

    def __init__(self, lane: Hashable, do: Callable[[], _Result]) -> None:
        self.lane = lane
        self.answer: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self.began: float | None = None
        self._do = do

    def withdraw(self) -> None:
        """Have it not done at all, if it has not begun yet."""
        if self.began is None:
            self.answer.cancel()

    def outcome(self) -> Callable[[], None]:
        """Do it, in a thread; return what tells `answer`, on the event loop."""
        try:
            result = self._do()
        except BaseException as error:
            return functools.partial(self._tell, self.answer.set_exception, error)
        return functools.partial(self._tell, self.answer.set_result, result)

    def _tell(self, tell: Callable[[Any], None], what: object) -> None:
        if not self.answer.done():  # somebody still wants to know
            tell(what)


class _Lane:
    """What is to be done for one disk."""

    def __init__(self, long_threads: int) -> None:
        self.waiting: deque[Work[Any]] = deque()
        self.running: set[Work[Any]] = set()
        self.timer: asyncio.TimerHandle | None = None
        self._long_threads = long_threads

    def has_room(self, now: float) -> bool:
        """Tell whether the next work may begin."""
        long = sum(now - (work.began or now) >= LONG_SECONDS for work in self.running)
        return len(self.running) - min(long, self._long_threads) < LANE_THREADS


class DiskThreads:
    """Does work in threads, by lanes: what one lane's disk keeps waiting takes nothing from the others.

    Used from one event loop. Its threads hold up nobody's end: a process that is told to stop does not wait
    for a disk that does not answer.
    """

    def __init__(self) -> None:
        self._lanes: dict[Hashable, _Lane] = {}
        self._idle: list[SimpleQueue[Work[Any] | None]] = []

    async def run(self, lane: Hashable, do: Callable[..., _Result], *arguments: object) -> _Result:
        """Return what `do` returns in a thread, or raise what it raises."""
        return await self.begin(lane, do, *arguments).answer

    def begin(self, lane: Hashable, do: Callable[..., _Result], *arguments: object) -> Work[_Result]:
        """Have something done in a thread once `lane` has room for it; None is that of unknown disks."""
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
        """Begin what there is room for; as long as something waits, look again when more of it takes long."""
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
        """Return where a thread that is free takes its work from."""
        if self._idle:
            return self._idle.pop()
        queue: SimpleQueue[Work[Any] | None] = SimpleQueue()
        threading.Thread(target=_serve, args=(loop, queue, self._done), name="disk", daemon=True).start()
        return queue

    def _done(
        self, queue: "SimpleQueue[Work[Any] | None]", work: Work[Any], tell: Callable[[], None]
    ) -> None:
        if len(self._idle) < IDLE_THREADS:
            self._idle.append(queue)
        else:
            queue.put(None)
        self._lanes[work.lane].running.discard(work)
        self._advance(work.lane)
        tell()


def _serve(
    loop: asyncio.AbstractEventLoop,
    queue: "SimpleQueue[Work[Any] | None]",
    done: Callable[["SimpleQueue[Work[Any] | None]", Work[Any], Callable[[], None]], None],
) -> None:
    while (work := queue.get()) is not None:
        tell = work.outcome()
        with suppress(RuntimeError):  # the loop is closed: the process ends
            loop.call_soon_threadsafe(done, queue, work, tell)
        del work, tell  # what came of it is not kept until the next
