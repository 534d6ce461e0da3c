"""Becomes the embedded server, after arranging that it ends with the process that started it.

Run by its path, outside the package, as `guard.py PARENT_PID WATCH COMMAND...`. WATCH is `-` on Linux, whose
kernel watches the parent, and elsewhere the read end of a pipe whose other end the parent keeps open. The
started process is then the server itself: signals and the exit code need no forwarding.
"""

import ctypes
import os
import signal
import sys

BY_KERNEL = "-"
MOST_DESCRIPTORS = 65536  # more than the starting process has open
PR_SET_PDEATHSIG = 1  # linux/prctl.h; it outlives execve


def end_with_parent_thread(parent: int) -> None:
    """Have the kernel send SIGTERM to this process when the thread that started it ends (Linux)."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # The kernel does not report a parent that ended before the call above.
    if os.getppid() != parent:
        sys.exit("the starting process is gone")


def end_with_lifeline(lifeline: int) -> None:
    """Fork a watcher that sends SIGTERM to this process at the lifeline's end of file."""
    server = os.getpid()
    if os.fork() != 0:
        os.close(lifeline)
        return
    # The lock of the data directory is among what is inherited: the server alone holds it.
    os.closerange(3, lifeline)
    os.closerange(lifeline + 1, MOST_DESCRIPTORS)
    os.read(lifeline, 1)
    # With another parent the server has ended, and its number may belong to another process.
    if os.getppid() == server:
        os.kill(server, signal.SIGTERM)
    os._exit(0)


def main(parent: str, watch: str, *command: str) -> None:
    """Become `command`; raise OSError if it cannot be started."""
    if watch == BY_KERNEL:
        end_with_parent_thread(int(parent))
    else:
        end_with_lifeline(int(watch))
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
