"""Supervision of child processes: different programs side by side, or a pool of equal workers."""

import asyncio
import signal
from collections import deque
from collections.abc import Sequence

import structlog

from service_runtime.child_process import (
    START_SECONDS,
    Address,
    Child,
    Children,
    ChildStartError,
    Ending,
    Program,
)
from service_runtime.errors import StartError

DEATHS_ALLOWED = 5
"""So many deaths of one worker within the window end the whole pool."""

DEATH_WINDOW_SECONDS = 10.0

FIRST_BACK_OFF_SECONDS = 0.1
"""The pause before a restart; it doubles with each death in the window, 1.5 s in all until the pool ends."""

QUERY_SECONDS = 1.0

SILENT_AFTER = 2
"""So many unanswered queries: the worker counts as one that gives no sign of life."""

ENDED_AFTER = 10
"""So many unanswered queries: the worker is ended; its clients have given up by then."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class WorkerKeepsDyingError(StartError):
    """One worker died so often within the window that another restart would be useless."""


class Supervisor(Children):
    """Different programs side by side; the caller decides what the end of one means for the others."""

    async def start(self, program: Program, seconds: float = START_SECONDS) -> tuple[Address, ...]:
        """Start `program`, also one that has ended, and return where it listens once it is ready.

        Raises OSError, and ChildStartError; a program that took too long is then killed.
        """
        child = await Child.spawn(program)
        self._children = [*(one for one in self._children if one.name != program.name), child]
        try:
            return await child.ready(seconds)
        except ChildStartError:
            child.send(signal.SIGKILL)
            raise

    async def ending(self, name: str) -> Ending:
        """Wait until the program that was last started under `name` ends, and return how."""
        child = next(child for child in self._children if child.name == name)
        return Ending(name, await asyncio.shield(child.ended))


class WorkerPool(Children):
    """Equal workers; each is restarted when it dies, after longer pauses the sooner it dies again.

    A worker that answers no queries is ended.
    """

    def __init__(self, programs: Sequence[Program]) -> None:
        super().__init__()
        self._programs = programs
        self._keepers: list[asyncio.Task[None]] = []
        self._silent: set[int] = set()

    async def start(self, seconds: float = START_SECONDS) -> tuple[Address, ...]:
        """Start all workers at once and return where the first listens (they share their ports).

        Raises ChildStartError if one does not become ready: a restart would not help at this point. The
        caller must call `stop` even then.
        """
        for program in self._programs:
            self._children.append(await Child.spawn(program))
        addresses = [await child.ready(seconds) for child in self._children]
        self._keepers = [
            asyncio.create_task(self._keep(slot), name=f"{program.name} kept running")
            for slot, program in enumerate(self._programs)
        ]
        return addresses[0]

    async def failure(self) -> WorkerKeepsDyingError:
        """Wait until one worker has died five times within ten seconds, and return the error for it."""
        await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
        error = next(keeper for keeper in self._keepers if keeper.done()).exception()
        if isinstance(error, WorkerKeepsDyingError):
            return error
        raise RuntimeError("a worker is no longer watched") from error

    def is_alive(self) -> bool:
        """Return whether any worker gives signs of life, or is being started."""
        return len(self._silent) < len(self._programs)

    async def stop_watching(self) -> None:
        """Stop restarting and ending workers."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def stop(self, seconds: float) -> tuple[str, ...]:
        """Stop watching, then stop all workers as Supervisor.stop does."""
        await self.stop_watching()
        return await super().stop(seconds)

    async def _keep(self, slot: int) -> None:
        name = self._programs[slot].name
        deaths: deque[float] = deque(maxlen=DEATHS_ALLOWED)
        while True:
            ending = Ending(name, await self._watch(slot))
            self._silent.discard(slot)
            pause = self._pause_after_death(deaths, ending)
            _log.warning("worker_ended", worker=name, ending=str(ending), restart_in_seconds=pause)
            await asyncio.sleep(pause)
            await self._start_again(slot)

    async def _watch(self, slot: int) -> int:
        """Query a worker until it ends; return its exit code."""
        child = self._children[slot]
        unanswered = 0
        while True:
            child.query()
            await asyncio.wait((child.ended,), timeout=QUERY_SECONDS)
            if child.ended.done():
                return child.ended.result()
            # Queries are counted, not seconds: a pause of this process counts as one.
            unanswered = 0 if child.has_answered() else unanswered + 1
            if unanswered < SILENT_AFTER:
                self._silent.discard(slot)
            else:
                self._silent.add(slot)
            if unanswered == ENDED_AFTER:
                _log.error("worker gives no sign of life: ending it", worker=child.name, queries=unanswered)
                child.send(signal.SIGKILL)

    def _pause_after_death(self, deaths: deque[float], ending: Ending) -> float:
        now = asyncio.get_running_loop().time()
        deaths.append(now)
        recent = sum(1 for death in deaths if now - death < DEATH_WINDOW_SECONDS)
        if recent == DEATHS_ALLOWED:
            raise WorkerKeepsDyingError(
                f"{ending}, for the {recent}th time within {DEATH_WINDOW_SECONDS:g} s"
            )
        return FIRST_BACK_OFF_SECONDS * 2.0 ** (recent - 1)

    async def _start_again(self, slot: int) -> None:
        # A failure counts as one more death: `_keep` finds the last child ended.
        try:
            child = self._children[slot] = await Child.spawn(self._programs[slot])
        except OSError as error:  # no memory, or no process more
            name = self._programs[slot].name
            _log.error("worker_not_started", worker=name, reason=error.strerror)
            return
        try:
            await child.ready()
            _log.info("worker_started_again", worker=child.name)
        except ChildStartError:
            child.send(signal.SIGKILL)
