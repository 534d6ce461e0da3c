"""The banned and the exempt networks, as one POP3 process keeps them in memory."""

import asyncio
import functools
import ipaddress
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from state_store.credentials.networks import client_address
from state_store.refusals import RefusalKind


class NetworkRule(NamedTuple):
    """A ban or an exemption, and how long it still holds."""

    kind: RefusalKind
    network: str
    reason: str
    seconds_left: float
    """Infinite for one without an end."""


class _Rule(NamedTuple):
    reason: str
    ends_at: float


RULES_A_TURN = 500
"""Rules that are added in one turn of the event loop: two milliseconds."""

_Prefixes = dict[tuple[int, int], dict[int, _Rule]]
"""Bits of the address and of the prefix -> the prefix as a number -> its rule: a search takes as many steps
as there are lengths of prefixes, however many networks there are."""


class RefusedNetworks:
    """Finds whether a client's address is banned or exempt. An exemption wins over any ban.

    The networks that `is_trusted` names are always exempt. `clock` gives seconds.
    """

    def __init__(self, is_trusted: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._is_trusted = is_trusted
        self._clock = clock
        self._bans: _Prefixes = {}
        self._exempt: _Prefixes = {}

    async def replace(self, rules: Iterable[NetworkRule]) -> None:
        """Apply these rules from now on."""
        now = self._clock()
        found: dict[RefusalKind, _Prefixes] = {RefusalKind.BAN: {}, RefusalKind.EXEMPT: {}}
        for number, rule in enumerate(rules, start=1):
            if number % RULES_A_TURN == 0:
                await asyncio.sleep(0)
            network, _, length = rule.network.partition("/")
            bits, value = _number(ipaddress.ip_address(network))
            prefix = int(length) if length else bits
            of_length = found[rule.kind].setdefault((bits, prefix), {})
            of_length[value >> bits - prefix] = _Rule(rule.reason, now + rule.seconds_left)
        self._bans, self._exempt = found[RefusalKind.BAN], found[RefusalKind.EXEMPT]

    def ban_on(self, address: str) -> str | None:
        """Return the reason for which this address is banned, None if it is not."""
        if not self._bans:
            return None
        rule = self._rule(self._bans, address)
        return None if rule is None or self.is_exempt(address) else rule.reason

    def is_exempt(self, address: str) -> bool:
        """Return whether this address is never banned, and never slowed down."""
        return self._is_trusted(address) or (
            bool(self._exempt) and self._rule(self._exempt, address) is not None
        )

    def _rule(self, prefixes: _Prefixes, address: str) -> _Rule | None:
        parsed = _parsed(address)
        if parsed is None:
            return None
        bits, value = parsed
        for (of_bits, length), networks in prefixes.items():
            if of_bits == bits:
                rule = networks.get(value >> bits - length)
                if rule is not None and rule.ends_at > self._clock():
                    return rule
        return None


def seconds_left(until: float, now: float) -> float:
    """Return how long something still holds that ends at `until`; infinite for 0, which is no end."""
    return until - now if until else math.inf


@functools.lru_cache(maxsize=4096)
def _parsed(address: str) -> tuple[int, int] | None:
    """Return the bits of an address and the address as a number, None for what is no IP address."""
    parsed = client_address(address)
    return None if parsed is None else _number(parsed)


def _number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[int, int]:
    return address.max_prefixlen, int(address)
