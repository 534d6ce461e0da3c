"""Keeps the last file descriptors of a process from new connections."""

import asyncio
import contextlib
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from typing import cast

import structlog

RESERVED = 32
"""Descriptors that connections do not get. They are for reading mail, connections to Redis, the log, and for
telling clients that there are no more."""

OWN = 32
"""Descriptors that a service has open for itself: event loop, log, listeners, connections to Redis."""

UNCHECKED = 7
"""After a connection for which there was room so many others are let in unchecked, even into the reserve: a
check takes three calls of the kernel."""

REPORT_SECONDS = 60.0
"""How often a shortage is logged while it lasts."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def free_for_connections() -> int:
    """Return the number of descriptors that the system allows this process, without the reserve."""
    # Read each time: it may change meanwhile (`prlimit`).
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (sys.maxsize if allowed == resource.RLIM_INFINITY else allowed) - RESERVED


def room_for_connections() -> int:
    """Return how many connections this process may have besides its OWN descriptors; at least one."""
    return max(1, free_for_connections() - OWN)


class Reserve:
    """Refuses connections for which there is no descriptor, and logs it once a minute."""

    def __init__(self, words: bytes, now: Callable[[], float] = time.monotonic) -> None:
        self._words = words
        self._now = now
        self._report_at = now()
        self._unchecked = 0

    def is_touched_by(self, connected: socket.socket) -> bool:
        """Return whether this connection has a descriptor of the reserve."""
        return connected.fileno() >= free_for_connections()

    def is_next(self, bound: socket.socket) -> bool:
        """Return whether only the reserve is left; `bound` is any open socket.

        Once it is not, the next `UNCHECKED` calls return False.
        """
        if self._unchecked:
            self._unchecked -= 1
            return False
        # `dup` gets the lowest free number: there is no quicker way to find it.
        try:
            number = os.dup(bound.fileno())
        except OSError:
            return True
        os.close(number)
        if number >= free_for_connections():
            return True
        self._unchecked = UNCHECKED
        return False

    def turn_away(self, connected: socket.socket, *, in_clear: bool) -> None:
        """Close a connection at once; in the clear its client gets the words."""
        self._report()
        connected.setblocking(False)
        with contextlib.suppress(OSError):
            connected.send(self._words if in_clear else b"")
        connected.close()

    def protocol(self, *, in_clear: bool) -> asyncio.Protocol:
        """Return a protocol that does the same with a connection that the event loop has accepted."""
        self._report()
        return _TurnedAway(self._words if in_clear else b"")

    def _report(self) -> None:
        now = self._now()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            allowed, at_most = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.error(
                "no descriptors left for more connections: raise LimitNOFILE, nofile or ulimit -n",
                limit=allowed,
                hard_limit=at_most,
            )


class _TurnedAway(asyncio.Protocol):
    """Sends the words and closes."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and end (asyncio)."""
        connected = cast(asyncio.Transport, transport)
        if self._words:
            connected.write(self._words)
        connected.close()
