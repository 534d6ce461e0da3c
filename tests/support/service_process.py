"""A service as a process that says when it serves, and ends with the tests."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path


def start_service(
    module: str,
    environment: Mapping[str, str],
    log: Path,
    stack: ExitStack,
    before: Callable[[], None] | None = None,
) -> tuple["subprocess.Popen[bytes]", dict[str, str]]:
    """Return the process of `python -m module` once it serves, and its addresses by their names.

    Both of its outputs are appended to `log`. The process ends when `stack` is closed, and also when the
    tests are killed. `before` is called in the process first of all.
    """
    ready_read, ready_write = os.pipe()
    parent_read, parent_write = os.pipe()
    stack.callback(os.close, parent_write)  # the service ends with this end of the pipe
    pipes = {"PEEP_READY_FD": str(ready_write), "PEEP_PARENT_FD": str(parent_read)}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env={**environment, **pipes},
            stdout=file,
            stderr=file,
            pass_fds=(ready_write, parent_read),
            preexec_fn=before,  # noqa: PLW1509
        )
    stack.callback(kill, process)
    os.close(ready_write)
    os.close(parent_read)
    with os.fdopen(ready_read) as pipe:
        *addresses, last = pipe.read().splitlines() or [""]
    assert last == "ready", log.read_text()
    return process, dict(line.split(" ", 1) for line in addresses)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process as a crash would, and with it its workers, if it still runs."""
    process.kill()
    process.wait()
