"""A service as a process that says when it serves, and ends with the tests."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from support.forked_program import ForkedProgram

Process = subprocess.Popen[bytes] | ForkedProgram

_END_SECONDS = 10

_AT_A_START = {"LD_PRELOAD", "PYTHONPATH"}
"""Variables that count when a program is started, and no longer when it forks."""

_PASS_ON = """
import os, sys
count = int(os.environ["LISTEN_FDS"])
for number, descriptor in enumerate(sys.argv[1:count + 1], 3):
    os.dup2(int(descriptor), number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[count + 1], sys.argv[count + 1:])
"""


def start_service(
    module: str,
    environment: Mapping[str, str],
    log: Path,
    stack: ExitStack,
    *,
    output: Path | None = None,
    before: Callable[[], None] | None = None,
    passed: Mapping[str, socket.socket] | None = None,
    periods: Mapping[str, float] | None = None,
) -> tuple[Process, dict[str, str]]:
    """Return the process of `python -m module` once it serves, and its addresses by their names.

    Both of its outputs are appended to `log`, or standard output to `output`. The process ends when `stack`
    is closed, and also when the tests are killed. `before` is called in the process first of all. The sockets
    in `passed` get there under their names, as from systemd. With one of these two, or another value
    of one of `_AT_A_START`, the process is started anew; else it is a `ForkedProgram`, which alone may have
    `periods`.
    """
    ready_read, ready_write = os.pipe()
    parent_read, parent_write = os.pipe()
    stack.callback(os.close, parent_write)  # the service ends with this end of the pipe
    pipes = {"PEEP_READY_FD": ready_write, "PEEP_PARENT_FD": parent_read}
    with log.open("ab") as errors, (output or log).open("ab") as said:
        outputs = (said.fileno(), errors.fileno())
        process: Process
        if before or passed or any(environment.get(name) != os.environ.get(name) for name in _AT_A_START):
            assert not periods, "a process that is started anew has its own"
            process = _start_anew(module, environment, outputs, pipes, before, passed)
        else:
            process = ForkedProgram(module, environment, *outputs, pipes, periods)
    stack.callback(_kill_with_workers, process)
    os.close(ready_write)
    os.close(parent_read)
    with os.fdopen(ready_read) as pipe:
        *addresses, last = pipe.read().splitlines() or [""]
    assert last == "ready", log.read_text()
    return process, dict(line.split(" ", 1) for line in addresses)


def _start_anew(
    module: str,
    environment: Mapping[str, str],
    outputs: tuple[int, int],
    pipes: Mapping[str, int],
    before: Callable[[], None] | None,
    passed: Mapping[str, socket.socket] | None,
) -> "subprocess.Popen[bytes]":
    descriptors = [one.fileno() for one in (passed or {}).values()]
    command = [sys.executable, "-m", module]
    given = {**environment, **{name: str(end) for name, end in pipes.items()}}
    if passed:
        command = [sys.executable, "-S", "-c", _PASS_ON, *map(str, descriptors), *command]
        given |= {"LISTEN_FDS": str(len(passed)), "LISTEN_FDNAMES": ":".join(passed)}
    return subprocess.Popen(
        command,
        env=given,
        stdout=outputs[0],
        stderr=outputs[1],
        pass_fds=(*pipes.values(), *descriptors),
        preexec_fn=before,  # noqa: PLW1509
    )


def kill(process: Process) -> None:
    """End a process as a crash would, if it still runs; its workers end once they notice."""
    process.kill()
    process.wait()


def _kill_with_workers(process: Process) -> None:
    """End a process and its workers: a worker that lives on would write into the store of the next test."""
    workers = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended, or one of them just does
        for number in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                workers.append(os.pidfd_open(int(number)))
    kill(process)
    for worker in workers:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(worker, signal.SIGKILL)
        select.select([worker], [], [], _END_SECONDS)
        os.close(worker)
