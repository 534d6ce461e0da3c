"""How many HTTP connections there may be, and which one is closed for a new one."""

from collections import defaultdict
from enum import IntEnum
from time import monotonic
from typing import Protocol

import structlog

from line_server.descriptors import room_for_connections

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

MAX_CONNECTIONS = 1000
"""Connections of one process; fewer where it may not open so many files."""

MAX_OF_NETWORK = 100
"""Connections from one IPv4 address or IPv6 /64: several dashboards behind one router, each with a stream
of events and the six that a browser keeps."""

HEALTH_CONNECTIONS = 16
"""Connections beyond the limit that may ask for the process's health: checks are answered while all the
others are busy."""

WARN_SECONDS = 60.0
"""Between two warnings that there are too many connections."""


class Access(IntEnum):
    """What a connection may ask for."""

    NONE = 0
    HEALTH = 1
    FULL = 2


class Connection(Protocol):
    """A connection that is counted."""

    def make_room(self) -> None:
        """End at once, for the sake of a new connection."""


class _Group:
    """Connections that share a limit."""

    __slots__ = ("busy", "limit", "waiting")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.busy = 0
        self.waiting: dict[Connection, None] = {}
        """In the order in which they began to wait for a request."""

    def __len__(self) -> int:
        return self.busy + len(self.waiting)

    def access_of_next(self) -> tuple[Access, Connection | None]:
        """Return what one more connection may ask for, and which one is closed for it."""
        access = Access.FULL if self.busy < self.limit else Access.HEALTH
        if len(self) < self.limit + (HEALTH_CONNECTIONS if access is Access.HEALTH else 0):
            return access, None
        oldest = next(iter(self.waiting), None)
        return (access if oldest is not None else Access.NONE), oldest


class ConnectionLimits:
    """Counts connections, of each client network and in all.

    Where there are too many, a new one takes the place of the one that has waited longest for a request. A
    connection whose request is being answered stays: where all of a network, or all there are, are such
    ones, a new one may ask for the process's health only.
    """

    def __init__(self, max_connections: int = MAX_CONNECTIONS, max_of_network: int = MAX_OF_NETWORK) -> None:
        room = max(1, room_for_connections() - HEALTH_CONNECTIONS)
        self._all = _Group(min(max_connections, room))
        self._networks: dict[str, _Group] = defaultdict(lambda: _Group(max_of_network))
        self._network_of: dict[Connection, str | None] = {}
        self._warn_at = 0.0

    def __len__(self) -> int:
        return len(self._network_of)

    def enter(self, connection: Connection, network: str | None) -> Access:
        """Count a new connection, which waits for a request; with `Access.NONE` it is not counted.

        Without a `network` it counts among all connections only.
        """
        access = Access.FULL
        for group in self._groups(network):
            access_in_group, oldest = group.access_of_next()
            access = min(access, access_in_group)
            if oldest is not None:
                self.leave(oldest)
                oldest.make_room()
            if oldest is not None or access_in_group is not Access.FULL:
                self._warn(group, network)
            if access is Access.NONE:
                self._forget_empty(network)
                return access
        self._network_of[connection] = network
        for group in self._groups(network):
            group.waiting[connection] = None
        return access

    def wait(self, connection: Connection) -> None:
        """Note that no request of a connection is being answered."""
        for group in self._groups_of(connection):
            if connection not in group.waiting:
                group.busy -= 1
                group.waiting[connection] = None

    def answer(self, connection: Connection) -> None:
        """Note that a request of a connection is being answered."""
        for group in self._groups_of(connection):
            if connection in group.waiting:
                del group.waiting[connection]
                group.busy += 1

    def leave(self, connection: Connection) -> None:
        """Stop counting a connection, if it is counted."""
        self.wait(connection)
        for group in self._groups_of(connection):
            del group.waiting[connection]
        self._forget_empty(self._network_of.pop(connection, None))

    def _groups_of(self, connection: Connection) -> tuple[_Group, ...]:
        return self._groups(self._network_of[connection]) if connection in self._network_of else ()

    def _groups(self, network: str | None) -> tuple[_Group, ...]:
        return (self._all,) if network is None else (self._networks[network], self._all)

    def _forget_empty(self, network: str | None) -> None:
        if network is not None and not self._networks[network]:
            del self._networks[network]

    def _warn(self, group: _Group, network: str | None) -> None:
        if monotonic() >= self._warn_at:
            self._warn_at = monotonic() + WARN_SECONDS
            whose = {} if group is self._all else {"network": network}
            log.warning("as many http connections as there may be", limit=group.limit, **whose)
