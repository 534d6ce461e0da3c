"""Limits for the work that is done for a client before it logs in."""

import time
from collections.abc import Callable

LINE_OCTETS = 1024
"""A line counts once more for each of these octets. The longest line in POP3 has 12,288."""

FREE_LINES = 20
"""Lines that are always answered: clients send fewer than ten before they log in."""

MOST_LINES = 100
"""Lines of one connection before login; ten wrong passwords by any mechanism need 40."""

NETWORK_LINES = 500
"""Lines beyond the free ones of all connections of one network in `NETWORK_SECONDS`: some 10 ms of CPU time.
The free lines are always answered, so others behind the same address can log in."""

NETWORK_SECONDS = 10.0


class Allowances:
    """What networks have used of NETWORK_LINES; one for all connections of a process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since = now()
        # Small: only networks with more than `FREE_LINES` on one connection in these seconds.
        self._used: dict[str, int] = {}

    def take(self, network: str, lines: int) -> bool:
        """Count lines of a network and return True; return False, and count none, if fewer are left."""
        now = self._now()
        if now - self._since >= NETWORK_SECONDS:
            self._used.clear()
            self._since = now
        used = self._used.get(network, 0) + lines
        if used > NETWORK_LINES:
            return False
        self._used[network] = used
        return True


class Budget:
    """The lines that one connection may still send before it logs in."""

    __slots__ = ("_address", "_allowances", "_lines", "_network_of")

    def __init__(self, allowances: Allowances, address: str, network_of: Callable[[str], str]) -> None:
        self._allowances = allowances
        self._address = address
        self._network_of = network_of
        self._lines = 0

    def spend(self, octets: int) -> bool:
        """Count a line of so many octets; return False when the connection must end instead."""
        lines = 1 + octets // LINE_OCTETS
        self._lines += lines
        beyond = self._lines - FREE_LINES
        if beyond <= 0:
            return True
        if self._lines > MOST_LINES:
            return False
        return self._allowances.take(self._network_of(self._address), min(lines, beyond))
