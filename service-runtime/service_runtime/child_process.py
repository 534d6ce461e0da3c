"""Child processes: started, awaited until they are ready, queried, ended.

A child inherits the ends of three pipes, whose numbers are in its environment.

* PEEP_READY_FD: the child writes a line `<label> <address>` for each socket that it listens on, then `ready`.
* PEEP_PARENT_FD: at its end of file the supervisor has ended, whatever the cause; the child drains and ends.
  So no child outlives its supervisor, even one that is killed. An octet is a query: is the child alive?
* PEEP_ANSWER_FD: the child answers queries with an octet, from its event loop and not from another thread:
  it is the event loop that serves.

Children run in sessions of their own: a terminal's Ctrl-C reaches only the supervisor, which stops them in
order.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from service_runtime.errors import StartError

READY_FD_VARIABLE = "PEEP_READY_FD"
PARENT_FD_VARIABLE = "PEEP_PARENT_FD"
ANSWER_FD_VARIABLE = "PEEP_ANSWER_FD"
READY_LINE = "ready"
QUERY, ANSWER = b"?", b"+"

START_SECONDS = 30.0
"""The longest wait for a child's `ready`, imports from a slow disk included."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to start: a name for messages, the command, and its whole environment.

    It inherits `descriptors` under their numbers here.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    descriptors: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """An address that a child reported, for example `POP3` at `127.0.0.1:1110`."""

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
    """A child ended, or took too long, before it was ready; `exit_code` is None if it took too long."""

    def __init__(self, message: str, exit_code: int | None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Child:
    """One started program. `ended` is a task whose result is the exit code."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, pipes: "_Pipes") -> None:
        self.name = name
        self._process = process
        self._pipes = pipes
        self.is_ready = False
        self.ended = asyncio.create_task(self._wait(), name=f"{name} ended")

    @classmethod
    async def spawn(cls, program: Program) -> "Child":
        """Start `program` and return at once; raise OSError if the system cannot start it."""
        # Not a socket pair: when the peer closes it with octets unread, the event loop reports an error.
        ready_read, ready_write = os.pipe()
        parent_read, parent_write = os.pipe()
        answer_read, answer_write = os.pipe()
        child_ends = {
            READY_FD_VARIABLE: ready_write,
            PARENT_FD_VARIABLE: parent_read,
            ANSWER_FD_VARIABLE: answer_write,
        }
        pipes = _Pipes(ready_read, parent_write, answer_read)
        try:
            await pipes.connect()
            process = await asyncio.create_subprocess_exec(
                *program.command,
                env={**program.environment, **{name: str(end) for name, end in child_ends.items()}},
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(*child_ends.values(), *program.descriptors),
                start_new_session=True,
            )
        except BaseException:
            pipes.close()
            raise
        finally:
            for end in child_ends.values():
                os.close(end)
        return cls(program.name, process, pipes)

    async def ready(self, seconds: float = START_SECONDS) -> tuple[Address, ...]:
        """Wait until the child is ready and return where it listens. Call it once.

        Raises ChildStartError if the child ends first (its reason is then on standard error) or is not ready
        after `seconds`.
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
        """Send a signal to the child, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal_number)

    def reload(self) -> None:
        """Send SIGHUP to the child if it is ready; earlier it might end, and it has read nothing yet."""
        if self.is_ready:
            self.send(signal.SIGHUP)

    def query(self) -> None:
        """Query whether the child is alive."""
        self._pipes.write(QUERY)

    def has_answered(self) -> bool:
        """Return whether there was an answer since the previous call."""
        return bool(self._pipes.read())

    async def _wait(self) -> int:
        exit_code = await self._process.wait()
        self._pipes.close()
        return exit_code


class Children:
    """Started children, which are reloaded and ended together."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def reload(self) -> None:
        """Have all children that are ready read their files again."""
        for child in self._children:
            child.reload()

    async def stop(self, seconds: float) -> tuple[str, ...]:
        """Send SIGTERM to all, after `seconds` SIGKILL to those left; return the names of the latter."""
        await _ended(self._send(signal.SIGTERM), seconds)
        late = self._send(signal.SIGKILL)
        await _ended(late, None)
        return tuple(child.name for child in late)

    def kill(self) -> None:
        """Send SIGKILL to all at once; `stop` then has nothing to wait for."""
        self._send(signal.SIGKILL)

    def _send(self, signal_number: signal.Signals) -> list[Child]:
        running = [child for child in self._children if not child.ended.done()]
        for child in running:
            child.send(signal_number)
        return running


async def _ended(children: Iterable[Child], seconds: float | None) -> None:
    if tasks := [child.ended for child in children]:
        await asyncio.wait(tasks, timeout=seconds)


class _Pipes:
    """The supervisor's ends of a child's pipes."""

    def __init__(self, ready_read: int, parent_write: int, answer_read: int) -> None:
        self._ready_read = open(ready_read, "rb", buffering=0)  # noqa: SIM115 - `close` closes it
        self._queries = open(parent_write, "wb", buffering=0)  # noqa: SIM115
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
        # A full pipe means that the child no longer reads, an error that it has ended: neither is waited for.
        if not self._queries.closed:
            with contextlib.suppress(OSError):
                self._queries.write(octets)

    def read(self) -> bytes:
        return b"" if self._answers.closed else self._answers.read(4096) or b""

    def close(self) -> None:
        # The transport owns the file once it is connected.
        (self._transport or self._ready_read).close()
        self._queries.close()
        self._answers.close()
