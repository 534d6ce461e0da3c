"""A measured server: its processes on one core, their CPU time and memory, its end."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from accounting import Account, memory_octets, open_account
from maildrops import Mail, messages_of, refill

START_SECONDS = 20.0
END_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
# Servers drop their privileges, and still need access to their folders.
_OPEN_TO_ALL = 0o755


class ServerError(Exception):
    """A server cannot be measured; the text is one line with the reason."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a server works: a folder of its own, its users' Maildirs, and the core that it runs on."""

    folder: Path
    mail: Path
    users: int
    cores: frozenset[int]
    programs: Path


class Server:
    """A context manager: entered, the server answers on `port`; left, none of its processes is alive.

    A subclass says in `start` how it begins.
    """

    name: ClassVar[str]

    def __init__(self, site: Site) -> None:
        self.site = site
        self.port = 0
        self._account: Account | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the server and set `port`. Raises `ServerError` if it is not available."""
        raise NotImplementedError

    def end(self) -> None:
        """End what `start` started without `spawn`."""

    def refill(self, pristine: Mail, users: int) -> None:
        """Deliver all messages of the first `users` users again, as new mail to the server."""
        refill(pristine, self.site.mail, users)

    def left_over(self, users: int) -> int:
        """Return how many messages the first `users` users have left."""
        return sum(1 for _ in messages_of(self.site.mail, users))

    def __enter__(self) -> Self:
        self.site.folder.mkdir(parents=True)
        os.chmod(self.site.folder, _OPEN_TO_ALL)
        self._account = open_account(self.site.folder.name)
        try:
            with on_cores(self.site.cores):
                self.start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def account(self) -> Account:
        """The account of the server's processes."""
        assert self._account is not None, "the server runs"
        return self._account

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes of the server; only differences are meaningful."""
        return self.account.cpu_seconds()

    def store_cpu_seconds(self) -> float:
        """Return the part of it that a store of its own has used; 0 for a server that has none."""
        return 0.0

    def memory_octets(self) -> int:
        """Return the memory of all processes of the server, as proportional set size."""
        return memory_octets(self.account.process_ids())

    def spawn(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process of the server; it ends with this one."""
        join = self.account.join

        def begin() -> None:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            join()

        log: IO[bytes]
        with (self.site.folder / "server.log").open("ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **options}
            process = subprocess.Popen(command, preexec_fn=begin, **options)  # noqa: PLW1509
        self.account.add(process.pid)
        self._started.append(process)
        return process

    def log(self) -> str:
        """Return the last line of the server's output, for a message."""
        path = self.site.folder / "server.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return lines[-1] if lines else "it has written nothing"

    def await_greeting(self) -> None:
        """Wait until the server greets. Raises `ServerError` if it ends, or does not greet in time."""
        wait_until(self._greets_or_ended, f"{self.name} greets")
        if any(process.poll() is not None for process in self._started):
            raise ServerError(f"{self.name} has ended: {self.log()}")

    def _greets_or_ended(self) -> bool:
        return any(process.poll() is not None for process in self._started) or greets(self.port)

    def _stop(self) -> None:
        known = self._account.process_ids() if self._account is not None else []
        for process in reversed(self._started):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
        self.end()
        if self._account is not None:
            self._end_rest(self._account, known)

    def _end_rest(self, account: Account, known: Sequence[int]) -> None:
        # A process whose parent has ended is no longer a descendant, so known processes count as well.
        def is_over() -> bool:
            left = {*account.process_ids(), *known}
            for process_id in left:
                if _is_alive(process_id):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process_id, signal.SIGKILL)
            for process in self._started:
                process.poll()
            return not any(map(_is_alive, left))

        wait_until(is_over, f"{self.name} ends")
        account.close()


def _is_alive(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


def greets(port: int) -> bool:
    """Return whether a POP3 server answers on this port of the loopback interface."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=END_SECONDS) as client:
            return client.recv(3) == b"+OK"
    except OSError:
        return False


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until(is_true: Callable[[], bool], what: str) -> None:
    """Wait until a condition is true. Raises `ServerError` after `START_SECONDS`."""
    limit = time.monotonic() + START_SECONDS
    while not is_true():
        if time.monotonic() > limit:
            raise ServerError(f"waited {START_SECONDS:.0f} s in vain: {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Run processes that are started meanwhile on these cores only."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
