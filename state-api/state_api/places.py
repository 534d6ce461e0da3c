"""Places for connections: how many, whose is given up for a newcomer, and what is kept for checks."""

import resource
from collections import defaultdict
from enum import IntEnum
from time import monotonic
from typing import Protocol

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

MAX_PLACES = 1000
"""Connections that one process serves; fewer where the system allows it fewer descriptors."""

MAX_PLACES_A_NETWORK = 100
"""Connections from one IPv4 address or IPv6 /64: several dashboards behind one router, each with a stream
of events and the six that a browser keeps."""

SPARE_PLACES = 16
"""Beyond these, for the checks of health alone: when all others are busy, some still have an answer."""

RESERVED_DESCRIPTORS = 40
"""For all else that the process has open: 17 at rest (event loop, log, port, connections to Redis)."""

WARN_SECONDS = 60.0
"""Between two warnings that there are no places left."""


class Standing(IntEnum):
    """What a connection may ask for."""

    NOTHING = 0
    HEALTH = 1
    ANYTHING = 2


class Holder(Protocol):
    """A connection that has a place."""

    def give_up_place(self) -> None:
        """End at once: somebody else comes in this place."""


def places_of_process() -> int:
    """Return how many places there are with the descriptors that the system allows this process."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return MAX_PLACES
    return max(1, min(MAX_PLACES, allowed - RESERVED_DESCRIPTORS - SPARE_PLACES))


class _Group:
    """Connections that share so many places."""

    __slots__ = ("busy", "places", "waiting")

    def __init__(self, places: int) -> None:
        self.places = places
        self.busy = 0
        self.waiting: dict[Holder, None] = {}
        """In the order in which they began to wait."""

    def __len__(self) -> int:
        return self.busy + len(self.waiting)

    def standing_of_newcomer(self) -> tuple[Standing, Holder | None]:
        """Return what one more may ask for, and whose place is given up for it."""
        standing = Standing.ANYTHING if self.busy < self.places else Standing.HEALTH
        if len(self) < self.places + (SPARE_PLACES if standing is Standing.HEALTH else 0):
            return standing, None
        oldest = next(iter(self.waiting), None)
        return (standing if oldest is not None else Standing.NOTHING), oldest


class Places:
    """Who is in, and who of these waits for a request: they give way to newcomers, the oldest first.

    A connection whose request is being answered keeps its place. Where all of a network's places, or all
    there are, are such ones, a newcomer may ask for its health only.
    """

    def __init__(self, places: int, places_a_network: int = MAX_PLACES_A_NETWORK) -> None:
        self._all = _Group(places)
        self._networks: dict[str, _Group] = defaultdict(lambda: _Group(places_a_network))
        self._network_of: dict[Holder, str | None] = {}
        self._warn_at = 0.0

    def __len__(self) -> int:
        return len(self._network_of)

    def enter(self, holder: Holder, network: str | None) -> Standing:
        """Give a newcomer a place, of its `network` unless that is None: such ones are counted together only.

        It waits from now on. With `NOTHING` it has got none.
        """
        standing = Standing.ANYTHING
        for group in self._groups(network):
            of_group, oldest = group.standing_of_newcomer()
            standing = min(standing, of_group)
            if oldest is not None:
                self.leave(oldest)
                oldest.give_up_place()
            if oldest is not None or of_group is not Standing.ANYTHING:
                self._warn(group, network)
            if standing is Standing.NOTHING:
                self._forget(network)
                return standing
        self._network_of[holder] = network
        for group in self._groups(network):
            group.waiting[holder] = None
        return standing

    def wait(self, holder: Holder) -> None:
        """Note that a connection has no request that is being answered."""
        for group in self._groups_of(holder):
            if holder not in group.waiting:
                group.busy -= 1
                group.waiting[holder] = None

    def answer(self, holder: Holder) -> None:
        """Note that a connection has a request that is being answered."""
        for group in self._groups_of(holder):
            if holder in group.waiting:
                del group.waiting[holder]
                group.busy += 1

    def leave(self, holder: Holder) -> None:
        """Give a place back; fine for who has none, or no longer."""
        self.wait(holder)
        for group in self._groups_of(holder):
            del group.waiting[holder]
        self._forget(self._network_of.pop(holder, None))

    def _groups_of(self, holder: Holder) -> tuple[_Group, ...]:
        return self._groups(self._network_of[holder]) if holder in self._network_of else ()

    def _groups(self, network: str | None) -> tuple[_Group, ...]:
        return (self._all,) if network is None else (self._networks[network], self._all)

    def _forget(self, network: str | None) -> None:
        if network is not None and not self._networks[network]:
            del self._networks[network]

    def _warn(self, group: _Group, network: str | None) -> None:
        if monotonic() >= self._warn_at:
            self._warn_at = monotonic() + WARN_SECONDS
            whose = {} if group is self._all else {"network": network}
            log.warning("as many http connections as there may be", limit=group.places, **whose)
