"""Places for connections to PEEP: who has not signed in can never take those of who has."""

from typing import Protocol

import structlog

from line_server.budget import Allowances
from line_server.descriptors import free_for_connections

MAX_STRANGERS = 300
"""Connections that have not signed in. Each has `SIGN_IN_SECONDS`, and an administrator needs a fraction of
one: to drive one out, 300 others must come within that."""

MAX_SIGNED_IN = 600
"""Administrators and their tools are few."""

OWN_DESCRIPTORS = 32
"""What the gateway itself has open: listening sockets, connections to Redis, logs."""

REPORT_SECONDS = 60.0
"""How often a shortage of places is logged while it lasts."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def limits() -> tuple[int, int]:
    """Return how many may stay before and after signing in: no more than there are descriptors for."""
    third = max(1, (free_for_connections() - OWN_DESCRIPTORS) // 3)
    return min(MAX_STRANGERS, third), min(MAX_SIGNED_IN, 2 * third)


class Stranger(Protocol):
    """A connection that has not signed in, and can be made to go."""

    def make_room(self) -> None:
        """Say that there is no room, and close."""


class Places:
    """Counts all connections of one gateway, in two pools: before signing in, and after."""

    def __init__(self, max_strangers: int = MAX_STRANGERS, max_signed_in: int = MAX_SIGNED_IN) -> None:
        self._max_strangers = max_strangers
        self._max_signed_in = max_signed_in
        self._strangers: dict[Stranger, None] = {}  # a set that knows who came first
        self._signed_in: set[Stranger] = set()
        self._report_at = 0.0
        self.allowances = Allowances()
        """What networks may ask for before they sign in."""

    def enter(self, stranger: Stranger, now: float) -> None:
        """Give a new connection a place, if need be that of the one which has been a stranger for longest."""
        if len(self._strangers) >= self._max_strangers:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.make_room()
            self._report(
                now, "too many connections that have not signed in: the oldest is closed for each new one"
            )
        self._strangers[stranger] = None

    def sign_in(self, stranger: Stranger, now: float) -> bool:
        """Move a connection to those that have signed in; return False where there is no place among them."""
        if len(self._signed_in) >= self._max_signed_in:
            self._report(now, "too many connections of administrators: no more are let in")
            return False
        self._strangers.pop(stranger, None)
        self._signed_in.add(stranger)
        return True

    def leave(self, stranger: Stranger) -> None:
        """Take back the place of a connection that is over, if it has one."""
        self._strangers.pop(stranger, None)
        self._signed_in.discard(stranger)

    def _report(self, now: float, what: str) -> None:
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            log.warning(what, before_sign_in=len(self._strangers), signed_in=len(self._signed_in))
