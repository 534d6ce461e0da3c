"""The load: popbench on a core of its own, and the results of a run."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sections import Options
from servers import Server, on_cores

_LONGEST_RUN_SECONDS = 600.0


class LoadError(Exception):
    """A run of the load generator failed; the text is one line with the reason."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients do: see popbench.c."""

    mode: str
    connections: int = 16
    is_pipelined: bool = False
    is_once: bool = False
    rate: float = 0
    """Sessions per second in all; 0: as many as the server can take."""

    only_users: tuple[int, int] | None = None
    """The number of the first user that logs in, and how many do; None: all users."""

    def arguments(self) -> list[str]:
        """Return popbench's arguments, except those for the server."""
        words = ["-m", self.mode, "-c", str(self.connections)]
        words += ["-P"] * self.is_pipelined + ["-1"] * self.is_once
        words += ["-r", f"{self.rate:.3f}"] if self.rate else []
        if self.only_users is not None:
            first, users = self.only_users
            words += ["-o", str(first), "-u", str(users)]  # popbench uses the last of two equal options
        return words


@dataclass(frozen=True, slots=True)
class Run:
    """The results of one run. Operations are sessions, or NOOPs in the mode `noop`."""

    operations: int
    seconds: float
    cpu_seconds: float
    """Of the whole server."""

    store_cpu_seconds: float
    """The part of it that Peep's Valkey used."""

    octets: int
    p50_ms: float
    p99_ms: float
    client_cpu_seconds: float
    failed: int
    first_error: str

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """CPU time of the whole server for one operation."""
        return self.cpu_seconds * 1e6 / self.operations


def build(options_folder: Path) -> None:
    """Compile the load generator and the server of canned replies. Raises `LoadError` without a compiler."""
    for name in ("popbench", "canned"):
        command: list[str | Path] = [
            "cc",
            "-O2",
            "-o",
            options_folder / name,
            Path(__file__).parent / f"{name}.c",
        ]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise LoadError(f"{name}.c cannot be compiled: {error}") from None


def run(options: Options, server: Server, load: Load, *, seconds: float | None = None) -> Run:
    """Run the clients; return their results and those of the server's account.

    Raises `LoadError` when not one session succeeded, and `ServerError` when the server does not greet.
    """
    # Another server's hundreds of processes on this core may have starved Peep's Valkey for so long that
    # Peep refuses clients until its next query succeeds.
    server.await_greeting()
    limit = _LONGEST_RUN_SECONDS if load.is_once else (seconds or options.seconds)
    command = [*_command(options, server), *load.arguments(), "-s", f"{limit:.3f}"]
    before, store_before = server.cpu_seconds(), server.store_cpu_seconds()
    with on_cores(frozenset({options.load_core})):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    cpu, store = server.cpu_seconds() - before, server.store_cpu_seconds() - store_before
    return _read(done.stdout or done.stderr, cpu, store, server.name)


def _read(output: str, cpu_seconds: float, store_cpu_seconds: float, name: str) -> Run:
    line, _, first_error = output.strip().partition(" first_error=")
    figures = dict(word.split("=", 1) for word in line.split() if "=" in word)
    if int(figures.get("operations", "0")) == 0:
        raise LoadError(f"{name}: no session succeeded: {first_error or output.strip()}")
    return Run(
        operations=int(figures["operations"]),
        seconds=float(figures["seconds"]),
        cpu_seconds=cpu_seconds,
        store_cpu_seconds=store_cpu_seconds,
        octets=int(figures["octets"]),
        p50_ms=float(figures["p50_ms"]),
        p99_ms=float(figures["p99_ms"]),
        client_cpu_seconds=float(figures["client_cpu_s"]),
        failed=int(figures["failed"]),
        first_error=first_error,
    )


@contextmanager
def beside(options: Options, server: Server, load: Load) -> Iterator[None]:
    """Run these clients while the block lasts, without results."""
    command = [*_command(options, server), *load.arguments(), "-s", str(_LONGEST_RUN_SECONDS)]
    with (
        on_cores(frozenset({options.load_core})),
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as clients,
    ):
        try:
            yield
        finally:
            clients.terminate()


@contextmanager
def idle_sessions(options: Options, server: Server, count: int) -> Iterator[int]:
    """Keep `count` idle sessions open; return how many are logged in.

    Raises `LoadError` when they do not all get in.
    """
    command = [*_command(options, server), *Load("idle", count).arguments(), "-s", str(_LONGEST_RUN_SECONDS)]
    with (
        on_cores(frozenset({options.load_core})),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients,
    ):
        assert clients.stdout is not None
        assert clients.stdin is not None
        first = clients.stdout.readline()
        try:
            if first.strip() != f"ready logged_in={count} failed=0":
                raise LoadError(f"{server.name}: {count} sessions were to be opened: {first.strip()}")
            yield count
        finally:
            clients.stdin.close()
            clients.stdout.read()
            clients.wait()


def _command(options: Options, server: Server) -> list[str | os.PathLike[str]]:
    return [options.programs / "popbench", "-p", str(server.port), "-u", str(server.site.users)]
