"""Child processes: started, awaited until they are ready, watched, started again, stopped.

Each child inherits ends of three pipes, whose numbers stand in its environment. On PEEP_READY_FD it writes
one line `<label> <address>` for each socket that it listens on, then `ready`. The end of file on
PEEP_PARENT_FD means that the supervisor is gone, however that came about, and the child drains and ends. So
no child outlives its supervisor, even one that is killed.

There a pool asks its workers for a sign of life, every second, and ends one that gives none for long. A
question is a line with the numbers of the workers that do not serve just now. The answer on PEEP_ANSWER_FD is
one octet, `SERVING` or `LEAVING`. The event loop that serves gives it, and no thread beside it.

Children run in sessions of their own: a terminal's Ctrl-C reaches the supervisor alone, which stops them in
order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from service_runtime.errors import StartError

READY_FD_VARIABLE = "PEEP_READY_FD"
PARENT_FD_VARIABLE = "PEEP_PARENT_FD"
ANSWER_FD_VARIABLE = "PEEP_ANSWER_FD"
READY_LINE = "ready"
SERVING, LEAVING = b"+", b"-"

START_SECONDS = 30.0  # the longest wait for a child's `ready`, imports on a slow disk included
DEATHS_ALLOWED = 5  # so many deaths of one worker within the window end the whole pool
DEATH_WINDOW_SECONDS = 10.0
FIRST_BACK_OFF_SECONDS = (
    0.1  # doubled for each further death within the window: 1.5 s in all before the pool ends
)
ASK_SECONDS = 1.0
UNSERVED_AFTER = 2  # questions without an answer: the other workers then take this one's clients too
ENDED_AFTER = 10  # questions without an answer: by then it has nobody left who would wait for it

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: a name for messages, the command, and the whole environment of the child.

    It inherits the `descriptors` under the numbers that they have here.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    descriptors: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """Where a child listens, as it said itself, for example `POP3` at `127.0.0.1:1110`."""

    label: str
    address: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: its exit code, or minus the number of the signal that ended it."""

    name: str
    exit_code: int

    def __str__(self) -> str:
        if self.exit_code >= 0:
            return f"{self.name} ended with exit code {self.exit_code}"
        return f"{self.name} was ended by {signal.Signals(-self.exit_code).name}"


class ChildStartError(StartError):
    """A child ended, or took too long, before it was ready; `exit_code` is None when it took too long."""

    def __init__(self, message: str, exit_code: int | None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WorkerKeepsDyingError(StartError):
    """One worker died so often within the window that starting it again has no point."""


class Child:
    """One started program. `ended` is a task whose result is the exit code."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, pipes: _Pipes) -> None:
        self.name = name
        self._process = process
        self._pipes = pipes
        self.is_ready = False
        self.ended = asyncio.create_task(self._wait(), name=f"{name} ended")

    @classmethod
    async def spawn(cls, program: Program) -> Child:
        """Start `program` and return at once; raise OSError when the system cannot start it."""
        # No pair of sockets: an end whose peer has closed with octets unread is broken to the event loop.
        ready_read, ready_write = os.pipe()
        parent_read, parent_write = os.pipe()
        answer_read, answer_write = os.pipe()
        childs = {
            READY_FD_VARIABLE: ready_write,
            PARENT_FD_VARIABLE: parent_read,
            ANSWER_FD_VARIABLE: answer_write,
        }
        pipes = _Pipes(ready_read, parent_write, answer_read)
        try:
            await pipes.connect()
            process = await asyncio.create_subprocess_exec(
                *program.command,
                env={**program.environment, **{name: str(end) for name, end in childs.items()}},
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(*childs.values(), *program.descriptors),
                start_new_session=True,
            )
        except BaseException:
            pipes.close()
            raise
        finally:
            for end in childs.values():
                os.close(end)
        return cls(program.name, process, pipes)

    async def ready(self, seconds: float = START_SECONDS) -> tuple[Address, ...]:
        """Wait until the child is ready and return where it listens; to be called once.

        Raises ChildStartError when it ends first (it has then written its reason to standard error) or is not
        ready after `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                addresses = await self._pipes.read_addresses()
                if addresses is not None:
                    self.is_ready = True
                    return addresses
                ending = Ending(self.name, await asyncio.shield(self.ended))
        except TimeoutError:
            raise ChildStartError(f"{self.name} was not ready after {seconds:g} s", None) from None
        raise ChildStartError(f"{ending} before it was ready", ending.exit_code)

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal to the child; one that has ended already gets none."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal_number)

    def reload(self) -> None:
        """Send SIGHUP to the child, unless it is not ready: it reads everything anyway, and might end."""
        if self.is_ready:
            self.send(signal.SIGHUP)

    def ask(self, unserved: Iterable[int]) -> None:
        """Ask for a sign of life, and tell which workers of the pool do not serve."""
        self._pipes.write(" ".join(map(str, sorted(unserved))).encode() + b"\n")

    def answer(self) -> bytes:
        """Return the last answer since this was called last, empty without any."""
        return self._pipes.read()[-1:]

    async def _wait(self) -> int:
        exit_code = await self._process.wait()
        self._pipes.close()
        return exit_code


class _Pipes:
    """The supervisor's ends of a child's pipes."""

    def __init__(self, ready_read: int, parent_write: int, answer_read: int) -> None:
        self._ready_read = open(ready_read, "rb", buffering=0)  # noqa: SIM115 - `close` closes it
        self._questions = open(parent_write, "wb", buffering=0)  # noqa: SIM115
        self._answers = open(answer_read, "rb", buffering=0)  # noqa: SIM115
        for end in (parent_write, answer_read):
            os.set_blocking(end, False)
        self._reader = asyncio.StreamReader()
        self._transport: asyncio.ReadTransport | None = None

    async def connect(self) -> None:
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), self._ready_read
        )

    async def read_addresses(self) -> tuple[Address, ...] | None:
        addresses: list[Address] = []
        async for line in self._reader:
            text = line.decode(errors="replace").strip()
            if text == READY_LINE:
                return tuple(addresses)
            label, _, address = text.partition(" ")
            addresses.append(Address(label, address))
        return None

    def write(self, octets: bytes) -> None:
        # Whoever reads nothing any more is not worth a wait, and neither is whoever has ended.
        if not self._questions.closed:
            with contextlib.suppress(OSError):
                self._questions.write(octets)

    def read(self) -> bytes:
        return b"" if self._answers.closed else self._answers.read(4096) or b""

    def close(self) -> None:
        # The transport owns the file once it is connected.
        (self._transport or self._ready_read).close()
        self._questions.close()
        self._answers.close()


class Supervisor:
    """Different programs side by side; the caller decides what the end of one means for the others."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def start(self, program: Program, seconds: float = START_SECONDS) -> tuple[Address, ...]:
        """Start `program`, wait until it is ready, and return where it listens; raise as Child.ready does."""
        child = await Child.spawn(program)
        self._children.append(child)
        return await child.ready(seconds)

    async def first_ending(self) -> Ending:
        """Wait until any started program ends, and return which and how."""
        tasks = [child.ended for child in self._children]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(
            Ending(child.name, child.ended.result()) for child in self._children if child.ended.done()
        )

    async def stop(self, seconds: float) -> tuple[str, ...]:
        """Send SIGTERM to all, after `seconds` SIGKILL to those left; return the names of the latter."""
        return await stop_children(self._children, seconds)

    def reload(self) -> None:
        """Let all read anew what can be."""
        for child in self._children:
            child.reload()

    def kill(self) -> None:
        """Send SIGKILL to all at once; `stop` then returns without a wait."""
        for child in self._children:
            child.send(signal.SIGKILL)


class WorkerPool:
    """Equal programs, each started again when it dies, later each time it dies soon after.

    One that gives no sign of life is ended. All are told who does not serve, for whatever reason, by the
    numbers that `programs` have from 1.
    """

    def __init__(self, programs: Sequence[Program]) -> None:
        self._programs = programs
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._unserved: frozenset[int] = frozenset()

    async def start(self, seconds: float = START_SECONDS) -> tuple[Address, ...]:
        """Start all workers at once and return where the first listens (they share their ports).

        Raises ChildStartError when one does not become ready: a fault at the first start is not mended by
        another try. The caller then still owes `stop`.
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
        """Wait until one worker has died five times within ten seconds, and return the error that says so."""
        await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
        failed = next(keeper for keeper in self._keepers if keeper.done())
        error = failed.exception()
        if isinstance(error, WorkerKeepsDyingError):
            return error
        raise RuntimeError("a worker is no longer watched") from error

    def reload(self) -> None:
        """Let all workers read anew what can be."""
        for child in self._children:
            child.reload()

    async def stop_watching(self) -> None:
        """Start and end nobody any more of its own accord."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def stop(self, seconds: float) -> tuple[str, ...]:
        """Stop watching, then stop all workers as Supervisor.stop does."""
        await self.stop_watching()
        return await stop_children(self._children, seconds)

    async def _keep(self, slot: int) -> None:
        name = self._programs[slot].name
        deaths: deque[float] = deque(maxlen=DEATHS_ALLOWED)
        while True:
            ending = Ending(name, await self._watch(slot))
            self._serves(slot, False)
            pause = self._pause_after_death(deaths, ending)
            _log.warning("worker_ended", worker=name, ending=str(ending), restart_in_seconds=pause)
            await asyncio.sleep(pause)
            await self._start_again(slot)

    async def _watch(self, slot: int) -> int:
        """Ask a worker for a sign of life until it ends; return its exit code."""
        child = self._children[slot]
        silent, last = 0, SERVING
        while True:
            child.ask(self._unserved)
            await asyncio.wait((child.ended,), timeout=ASK_SECONDS)
            if child.ended.done():
                break
            # Questions are counted, not seconds: a time in which this process itself stood still is one.
            answer = child.answer()
            silent, last = (0, answer) if answer else (silent + 1, last)
            self._serves(slot, last == SERVING and silent < UNSERVED_AFTER)
            if silent == ENDED_AFTER:
                _log.error("worker gives no sign of life: ending it", worker=child.name, questions=silent)
                child.send(signal.SIGKILL)
        return child.ended.result()

    def _serves(self, slot: int, is_served: bool) -> None:
        """Take note whether a worker serves, and tell the others at once when that is new."""
        unserved = self._unserved - {slot + 1} if is_served else self._unserved | {slot + 1}
        if unserved == self._unserved:
            return
        self._unserved = unserved
        for child in self._children:
            if not child.ended.done():
                child.ask(unserved)

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
        child = self._children[slot] = await Child.spawn(self._programs[slot])
        try:
            await child.ready()
            self._serves(slot, True)
            _log.info("worker_started_again", worker=child.name)
        except ChildStartError:
            # Whatever hinders it, it counts as one more death: `_keep` finds the child ended.
            child.send(signal.SIGKILL)


async def stop_children(children: Iterable[Child], seconds: float) -> tuple[str, ...]:
    """Send SIGTERM to all, after `seconds` SIGKILL to those left; return the names of the latter."""
    running = [child for child in children if not child.ended.done()]
    for child in running:
        child.send(signal.SIGTERM)
    late = await _still_running(running, seconds)
    for child in late:
        child.send(signal.SIGKILL)
    await _still_running(late, None)
    return tuple(child.name for child in late)


async def _still_running(children: list[Child], seconds: float | None) -> list[Child]:
    if children:
        await asyncio.wait([child.ended for child in children], timeout=seconds)
    return [child for child in children if not child.ended.done()]
