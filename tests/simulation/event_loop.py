"""An event loop whose time is simulated and whose order of steps comes from a seed."""

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

OWNER: contextvars.ContextVar["Owner"] = contextvars.ContextVar("OWNER")

MOST_STEPS = 200_000
"""A schedule takes some thousand steps: more are a loop without end."""


class Owner:
    """A thread of some process: its steps come in order, and can be put off or end for ever."""

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self.name = name
        self.paused_until = 0.0
        self.is_dead = False
        self.steps: deque[asyncio.Handle] = deque()
        self.context = contextvars.Context()
        self.context.run(OWNER.set, self)
        loop.owners.append(self)

    def kill(self) -> None:
        """Do not one step more."""
        self.is_dead = True
        self.steps.clear()


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs one step of one owner at a time, which one the seed says; no time passes but in waiting.

    Steps and timers belong to the owner in whose context they were made. Within one owner the order is
    asyncio's own.
    """

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.owners: list[Owner] = []
        self._context = Owner(self, "loop").context
        self._coroutines: list[Coroutine[Any, Any, Any]] = []
        self._random = random
        self._now = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = itertools.count()

    def time(self) -> float:
        """Return the simulated time in seconds."""
        return self._now

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """See `asyncio`."""
        context = context or contextvars.copy_context()
        handle = asyncio.Handle(callback, args, self, context)
        owner = context[OWNER]
        if not owner.is_dead:
            owner.steps.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        handle = asyncio.TimerHandle(when, callback, args, self, context or contextvars.copy_context())
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        """See `asyncio`; a task that fails ends the schedule."""
        task = super().create_task(coro, name=name, context=context)
        self._coroutines.append(coro)
        task.add_done_callback(self._task_ended, context=self._context)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Raise what a step raised. All else is about tasks and futures of processes that died."""
        error = context.get("exception")
        if "handle" in context and isinstance(error, BaseException):
            raise error

    def close(self) -> None:
        """Drop all that is not done."""
        for coroutine in self._coroutines:
            coroutine.close()
        super().close()

    def _task_ended(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            raise error

    def run(self, owner: Owner, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main`, which belongs to `owner`, has ended; return its result."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main, context=owner.context)
            for _ in range(MOST_STEPS):
                if task.done():
                    return task.result()
                self._step()
            raise AssertionError("the schedule does not come to an end")
        finally:
            asyncio._set_running_loop(None)

    def _step(self) -> None:
        self._take_due_timers()
        ready = [owner for owner in self.owners if owner.steps and owner.paused_until <= self._now]
        if ready:
            owner = ready[0] if len(ready) == 1 else ready[int(self._random.random() * len(ready))]
            handle = owner.steps.popleft()
            if not handle.cancelled():
                handle._run()
        else:
            pauses = [owner.paused_until for owner in self.owners if owner.steps]
            self._now = min([*pauses, *(when for when, _, _ in self._timers[:1])])

    def _take_due_timers(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            handle = heapq.heappop(timers)[2]
            owner = handle._context[OWNER]  # type: ignore[attr-defined]
            if not owner.is_dead and not handle.cancelled():
                owner.steps.append(handle)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Called by asyncio; a cancelled timer is left out when it is due."""
