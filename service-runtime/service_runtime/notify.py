"""What systemd is told about a service that it has started with Type=notify (sd_notify(3))."""

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping


class Notifier:
    """Sends systemd messages; does nothing where the service was started by something else.

    The variables that say so are removed: they are for this process, not for those that it starts.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.pop("WATCHDOG_USEC", "")
        is_for_us = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds and is_for_us else 0.0
        """systemd ends a service that gives no sign of life for so long; 0: it does not watch."""

    def ready(self, status: str) -> None:
        """Say that clients are served, or, after `reloading`, that all is read again."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that files are being read again."""
        # CLOCK_MONOTONIC of this very message, which Type=notify-reload compares with its signal's.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reloading")

    def stopping(self, seconds: float) -> None:
        """Say that the service ends, which may take so long."""
        status = f"STATUS=stopping: open sessions may go on for some time, {seconds:g} s in all at most"
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}", status)

    def status(self, status: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """Give a sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # Nothing waits for systemd, and nothing depends on it.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(errors="replace"), self._address)
