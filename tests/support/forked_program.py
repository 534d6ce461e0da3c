"""Our programs, forked from a process that has imported them: a start without the cost of the imports.

What runs is the program from the first line of its `__main__` on, with its own environment, signals and end.
Starts by `python -m`, imports and all, are those of workers, `peepctl up`, systemd's sockets, and in the
containers.
"""

import atexit
import contextlib
import functools
import importlib
import io
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping

_NUMBER = struct.Struct("i")
_MOST_DESCRIPTORS = 16


class ForkedProgram:
    """A running program; what tests use of `subprocess.Popen` is here under the same names."""

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        stdout: int,
        stderr: int,
        descriptors: Mapping[str, int],
        periods: Mapping[str, float] | None = None,
    ) -> None:
        """Start `module`, which has these descriptors, their numbers in the variables of these names.

        `periods` are constants that have other values there: `{"package.module.NAME": seconds}`.
        """
        self.returncode: int | None = None
        self._link, theirs = socket.socketpair()
        passed = [theirs.fileno(), stdout, stderr, *descriptors.values()]
        with theirs:
            socket.send_fds(_source(module), [b"+"], passed)
        self._link.sendall(json.dumps([dict(environment), list(descriptors), dict(periods or {})]).encode())
        self._link.shutdown(socket.SHUT_WR)
        self.pid = self._told()

    def poll(self) -> int | None:
        """Return the exit code, or minus a signal's number; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self._link.settimeout(timeout)
            try:
                self.returncode = self._told()
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._link.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self.send_signal(signal.SIGKILL)

    def _told(self) -> int:
        octets = self._link.recv(_NUMBER.size)
        assert octets, "the process that forks has ended: its error is above"
        number: int = _NUMBER.unpack(octets)[0]
        return number


@functools.cache
def _source(module: str) -> socket.socket:
    """Return the way to a process that has imported `module` and forks; it ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, module, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
    atexit.register(process.wait)
    atexit.register(ours.close)  # this comes first
    return ours


def _fork_when_asked(module: str, requests: socket.socket) -> None:
    """Start a program for each request until the tests have ended."""
    sys.argv = [module, "--version"]  # which every program says when all of it is imported
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        _, descriptors, _, _ = socket.recv_fds(requests, 1, _MOST_DESCRIPTORS)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not descriptors:
            return
        if os.fork() == 0:
            requests.close()
            _start(module, *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _start(module: str, link: int, stdout: int, stderr: int, *descriptors: int) -> None:
    """Be the program in a process below this one, which waits for its end and tells it."""
    with socket.socket(fileno=link) as told:
        environment, names, periods = json.loads(told.makefile().read())
        if process_id := os.fork():
            for descriptor in (stdout, stderr, *descriptors):
                os.close(descriptor)
            told.sendall(_NUMBER.pack(process_id))
            _, status = os.waitpid(process_id, 0)
            told.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))
            os._exit(0)
    for ours, standard in ((stdout, sys.stdout), (stderr, sys.stderr)):
        os.dup2(ours, standard.fileno())
        os.close(ours)
    os.environ.clear()
    os.environ.update(environment | dict(zip(names, map(str, descriptors), strict=True)))
    for place, seconds in periods.items():
        owner, _, name = place.rpartition(".")
        assert name in vars(importlib.import_module(owner)), f"there is no {place}"
        setattr(sys.modules[owner], name, seconds)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _fork_when_asked(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
