"""CPU time and memory of a whole server: all its processes, including those that have ended."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

_CPUACCT = Path("/sys/fs/cgroup/cpuacct")
_UNIFIED = Path("/sys/fs/cgroup")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_NANOSECONDS = 1e9
_MICROSECONDS = 1e6


class Account(Protocol):
    """Counts CPU time for the processes that join it, and for all their descendants."""

    def join(self) -> None:
        """Add the calling process. Between fork and exec this is the new server."""

    def add(self, process_id: int) -> None:
        """Add a running process."""

    def cpu_seconds(self) -> float:
        """Return the CPU time until now. Only differences are meaningful."""

    def process_ids(self) -> list[int]:
        """Return the processes that run now."""

    def close(self) -> None:
        """Release the account's resources; its processes must have ended."""


def open_account(name: str) -> Account:
    """Return an exact account if control groups can be created, else one that reads the process table."""
    for root in (_CPUACCT, _UNIFIED):
        folder = root / f"peep-bench-{os.getpid()}-{name}"
        try:
            folder.mkdir()
        except OSError:
            continue
        account = _ControlGroup(folder)
        if account.works():
            return account
        account.close()
    return _ProcessTree()


class _ControlGroup:
    """A control group, of version 1 (cpuacct) or 2: exact to the nanosecond or microsecond."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._members = folder / "cgroup.procs"

    def works(self) -> bool:
        try:
            self.cpu_seconds()
        except (OSError, KeyError):
            return False
        return os.access(self._members, os.W_OK)

    def join(self) -> None:
        self._members.write_text("0")

    def add(self, process_id: int) -> None:
        self._members.write_text(str(process_id))

    def cpu_seconds(self) -> float:
        usage = self._folder / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / _NANOSECONDS
        lines = (self._folder / "cpu.stat").read_text().splitlines()
        return int(dict(line.split() for line in lines)["usage_usec"]) / _MICROSECONDS

    def process_ids(self) -> list[int]:
        return [int(line) for line in self._members.read_text().split()]

    def close(self) -> None:
        self._folder.rmdir()


class _ProcessTree:
    """Adds up the process table, exact to a tick (10 ms) a process.

    A process that has ended counts in the times that its parent has for its children.
    """

    def __init__(self) -> None:
        self._roots: list[int] = []

    def join(self) -> None:
        """Do nothing: the process table shows parents and children."""

    def add(self, process_id: int) -> None:
        self._roots.append(process_id)

    def cpu_seconds(self) -> float:
        return sum(_ticks(process_id) for process_id in self.process_ids()) / _TICKS_A_SECOND

    def process_ids(self) -> list[int]:
        return [process_id for root in self._roots for process_id in descendants(root)]

    def close(self) -> None:
        self._roots.clear()


def descendants(process_id: int) -> Iterator[int]:
    """Return a process and all its running descendants."""
    yield process_id
    for listing in Path(f"/proc/{process_id}/task").glob("*/children"):
        try:
            children = listing.read_text().split()
        except OSError:  # it has ended meanwhile
            continue
        for child in children:
            yield from descendants(int(child))


def _ticks(process_id: int) -> int:
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(int(field) for field in fields[11:15])


def memory_octets(process_ids: Sequence[int]) -> int:
    """Return the proportional set size of these processes: shared memory counts once."""
    return sum(_kilobytes(process_id, "smaps_rollup", "Pss") for process_id in process_ids) * 1024


def peak_octets(process_ids: Sequence[int]) -> int:
    """Return the sum of the largest resident sizes that these processes have had since they began."""
    return sum(_kilobytes(process_id, "status", "VmHWM") for process_id in process_ids) * 1024


def forget_peak(process_ids: Sequence[int]) -> None:
    """Reset the largest resident size of these processes to the present one."""
    for process_id in process_ids:
        Path(f"/proc/{process_id}/clear_refs").write_text("5")


def _kilobytes(process_id: int, file: str, field: str) -> int:
    try:
        lines = Path(f"/proc/{process_id}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)
