"""The last descriptors that a process may have: kept from connections, for what serves those there are."""

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
"""Descriptors that no connection keeps: they are for threads that read mail, new connections to Redis, the
log, and to tell whoever comes that there are no more."""

OWN = 32
"""Descriptors that a service has open for itself: event loop, log, listeners, connections to Redis."""

REPORT_SECONDS = 60.0
"""How often a shortage is logged while it lasts."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def free_for_connections() -> int:
    """Return the number of descriptors, the reserve left out, that the system allows this process."""
    # Read each time, since it may change while we run (`prlimit`).
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (sys.maxsize if allowed == resource.RLIM_INFINITY else allowed) - RESERVED


def room_for_connections() -> int:
    """Return how many connections this process may have beside what it has open for itself; at least one."""
    return max(1, free_for_connections() - OWN)


class Reserve:
    """Tells clients, and once a minute the log, that there are no descriptors for more connections."""

    def __init__(self, words: bytes, now: Callable[[], float] = time.monotonic) -> None:
        self._words = words
        self._now = now
        self._report_at = now()

    def is_touched_by(self, connected: socket.socket) -> bool:
        """Return whether this connection has one of the last descriptors."""
        return connected.fileno() >= free_for_connections()

    def is_next(self, bound: socket.socket) -> bool:
        """Return whether only the last descriptors are left; `bound` is any open socket."""
        # The system gives the lowest number that is free; nothing else tells it without a search.
        try:
            number = os.dup(bound.fileno())
        except OSError:
            return True
        os.close(number)
        return number >= free_for_connections()

    def turn_away(self, connected: socket.socket, *, in_clear: bool) -> None:
        """Close a connection at once; where it is in the clear its client is told why."""
        self._report()
        connected.setblocking(False)
        with contextlib.suppress(OSError):
            connected.send(self._words if in_clear else b"")
        connected.close()

    def protocol(self, *, in_clear: bool) -> asyncio.Protocol:
        """Return what does the same for a connection that an event loop has accepted."""
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
    """Says its words and closes."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and end (asyncio)."""
        connected = cast(asyncio.Transport, transport)
        if self._words:
            connected.write(self._words)
        connected.close()
