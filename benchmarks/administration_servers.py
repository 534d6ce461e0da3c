"""The servers that `administration.py` measures: an embedded Valkey and a front end of ours on one core."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peep_server import BENCHMARK
from peepctl.up.embedded import EmbeddedServer
from service_runtime.processors import usable_processors
from state_store.credentials.passwords import Passwords
from state_store.records import Credential
from state_store.repository import StateRepository

ADMINISTRATOR = "admin"
PASSWORD = "benchmark"  # noqa: S105 - of a server that lives for a minute on the loopback
SERVER_CORE = 0
LOAD_CORE = 1
USERS_A_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Servers:
    """A running front end and the Valkey behind it."""

    port: int
    front_end: int
    """The front end's process, and Valkey's."""
    valkey: int
    url: str

    def cpu_seconds(self) -> float:
        """Return the CPU time that both have used so far, exact to the nanosecond."""
        return sum(cpu_nanoseconds(process) for process in (self.front_end, self.valkey)) / 1e9


@contextmanager
def serving(module: str, folder: Path, *, environment: dict[str, str] | None = None) -> Iterator[Servers]:
    """Start Valkey with an empty `folder`, and `python -m module` in front of it; stop both at the end."""
    valkey = EmbeddedServer(folder)
    valkey.start()
    try:
        assert valkey.process_id is not None
        pin(valkey.process_id, SERVER_CORE)
        with _front_end(module, valkey.url, environment or {}) as (process, port):
            yield Servers(port, process.pid, valkey.process_id, valkey.url)
    finally:
        valkey.stop()


@contextmanager
def _front_end(
    module: str, url: str, environment: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ready_read, ready_write = os.pipe()
    variables = {
        **os.environ,
        "PEEP_REDIS_URL": url,
        "PEEP_ADMINS": f"{ADMINISTRATOR}:{PASSWORD}",
        "PEEP_PORT": "0",
        "PEEP_HTTP_PORT": "0",
        "PEEP_DRAIN_SECONDS": "0",
        "PEEP_READY_FD": str(ready_write),
        **environment,
    }
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", module]
    with (
        open(os.devnull, "w") as nowhere,
        subprocess.Popen(command, env=variables, pass_fds=[ready_write], stderr=nowhere) as process,
    ):
        os.close(ready_write)
        try:
            with open(ready_read) as ready:
                port = ready.readline().rpartition(":")[2].strip()
            if not port:
                raise RuntimeError(f"{module} did not start")
            yield process, int(port)
        finally:
            process.terminate()


def pin(process: int, core: int) -> None:
    """Run every thread of a process on one core."""
    for thread in os.listdir(f"/proc/{process}/task"):
        os.sched_setaffinity(int(thread), {core})


def cpu_nanoseconds(process: int) -> int:
    """Return the CPU time of all threads of a process."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{process}/task").glob("*/schedstat"))


def memory_octets(process: int, field: str = "VmRSS") -> int:
    """Return a figure of a process's memory: the present one (VmRSS) or the largest so far (VmHWM)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the process {process} has ended")


def forget_peak(process: int) -> None:
    """Reset VmHWM."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


async def add_users(url: str, count: int) -> None:
    """Add users with the same credential: hashing a hundred thousand would take an hour."""
    repository = StateRepository(url)
    passwords = Passwords(usable_processors())
    credential = await passwords.new_credential(PASSWORD)
    for first in range(0, count, USERS_A_BATCH):
        await _add(repository, credential, range(first, min(first + USERS_A_BATCH, count)))
    passwords.close()
    await repository.close()


async def _add(repository: StateRepository, credential: Credential, numbers: range) -> None:
    await asyncio.gather(
        *(repository.add_user(f"user{number:06d}", credential, by=BENCHMARK) for number in numbers)
    )
