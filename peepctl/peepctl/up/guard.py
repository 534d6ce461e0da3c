"""Turns into the embedded server, after arranging that it ends with the process that started it.

Run by its path, outside the package, as `guard.py PARENT_PID WATCH COMMAND...`. WATCH is `-` on Linux, whose
kernel watches the parent, and else the number of a pipe's read end whose other end the parent holds. Either
way the started process is the server itself afterwards: signals and the exit code need no forwarding.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

BY_KERNEL = "-"
PR_SET_PDEATHSIG = 1  # linux/prctl.h; it outlives execve


def end_with_parent_thread(parent: int) -> None:
    """Have the kernel send SIGTERM to this process when the thread that started it ends (Linux)."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # A parent that ended before the call above is never reported by the kernel.
    if os.getppid() != parent:
        sys.exit("the starting process is gone")


def end_with_lifeline(lifeline: int) -> None:
    """Leave a watcher behind that sends SIGTERM to this process at the lifeline's end of file."""
    server = os.getpid()
    if os.fork() != 0:
        os.close(lifeline)
        return
    os.read(lifeline, 1)
    # Another parent means that the server has ended already, and its number may be somebody else's by now.
    if os.getppid() == server:
        os.kill(server, signal.SIGTERM)
    os._exit(0)


def main(parent: str, watch: str, *command: str) -> None:
    """Become `command`; raise OSError when it cannot be started."""
    if watch == BY_KERNEL:
        end_with_parent_thread(int(parent))
    else:
        end_with_lifeline(int(watch))
    os.execv(command[0], command)  # noqa: S606 - this is the point of it


if __name__ == "__main__":
    main(*sys.argv[1:])
