"""Limits of a gateway's connections: those that have not signed in cannot keep out those that have."""

from typing import Protocol

import structlog

from line_server.budget import Allowances
from line_server.deadline import Timers
from line_server.descriptors import room_for_connections

MAX_UNKNOWN = 300
"""Connections that have not signed in. Each may stay for `SIGN_IN_SECONDS`, and an administrator needs a
fraction of one: to drive an administrator out, 300 others must come within that."""

MAX_SIGNED_IN = 600
"""Administrators and their tools are few."""

REPORT_SECONDS = 60.0
"""How often a shortage of places is logged while it lasts."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Connection(Protocol):
    """A connection that can be closed for another's sake before it has signed in."""

    def make_room(self) -> None:
        """Say that there is no room, and close."""


class ConnectionLimits:
    """Counts the connections of one gateway in two pools: before signing in, and after.

    Both are smaller than here where the process may not open so many files.
    """

    def __init__(self, max_unknown: int = MAX_UNKNOWN, max_signed_in: int = MAX_SIGNED_IN) -> None:
        third = max(1, room_for_connections() // 3)
        self._max_unknown = min(max_unknown, third)
        self._max_signed_in = min(max_signed_in, 2 * third)
        self._unknown: dict[Connection, None] = {}  # in order of arrival
        self._signed_in: set[Connection] = set()
        self._report_at = 0.0
        self.allowances = Allowances()
        """The commands that each network may still send before it signs in."""
        self.timers = Timers()

    def enter(self, connection: Connection, now: float) -> None:
        """Count a new connection; where there are too many, the oldest that has not signed in is closed."""
        if len(self._unknown) >= self._max_unknown:
            oldest = next(iter(self._unknown))
            del self._unknown[oldest]
            oldest.make_room()
            self._report(
                now, "too many connections that have not signed in: the oldest is closed for each new one"
            )
        self._unknown[connection] = None

    def sign_in(self, connection: Connection, now: float) -> bool:
        """Count a connection among those that have signed in; return False where these are too many."""
        if len(self._signed_in) >= self._max_signed_in:
            self._report(now, "too many connections of administrators: no more are let in")
            return False
        self._unknown.pop(connection, None)
        self._signed_in.add(connection)
        return True

    def leave(self, connection: Connection) -> None:
        """Stop counting a connection, if it was counted."""
        self._unknown.pop(connection, None)
        self._signed_in.discard(connection)

    def _report(self, now: float, what: str) -> None:
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            log.warning(what, before_sign_in=len(self._unknown), signed_in=len(self._signed_in))
