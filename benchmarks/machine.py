"""The machine: whether it is suitable, and its description for the report."""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from interpreter import is_optimised

_CORES = 2


class MachineError(Exception):
    """The machine is not suitable; the text is one line with the reason."""


def require() -> None:
    """Raise `MachineError` if the measurements cannot be made here."""
    if sys.platform != "linux":
        raise MachineError(f"the measurements need Linux, this is {platform.system()}")
    if len(os.sched_getaffinity(0)) < _CORES:
        raise MachineError("the measurements need two cores, one for the server and one for the clients")


def cores() -> tuple[int, int]:
    """Return a core for the server and one for the clients."""
    first, second = all_cores()[:_CORES]
    return first, second


def all_cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def raise_file_limit() -> None:
    """Raise the limit of open files, also for child processes, to the maximum."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def description(versions: Sequence[str] = ()) -> list[str]:
    """Return a line for each property that the figures depend on; `versions` of servers not installed too."""
    return [
        f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}",
        _python(),
        *sorted({*_versions(), *versions}),
    ]


def _python() -> str:
    build = f"{', '.join(platform.python_build())}; {platform.python_compiler()}"
    how = "with" if is_optimised() else "WITHOUT"
    return f"Python {platform.python_version()} ({build}), built {how} profile-guided optimisation"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> list[str]:
    packages = ("dovecot-core", "courier-pop", "popa3d")
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *packages]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return []
    return [line for line in done.stdout.splitlines() if len(line.split()) == 2]
