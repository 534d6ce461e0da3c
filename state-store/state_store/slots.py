"""How many connections an instance may have, in all and from one client address.

`grant` deals out the limit `c=` over all instances (P8), `address_grant` the limit of one address.
`exchange.lua` computes the same in Redis; a contract test holds the two together.
"""

from dataclasses import dataclass

LARGEST_SPARE = 64
"""Slots that an instance may hold unused, so that it can admit a connection without asking."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The slots that an instance holds from now on."""

    reserved: int
    should_shrink: bool
    """It claims more than its share: it shall claim only its open connections next time."""


def grant(
    *,
    limit: int,
    reserved_elsewhere: int,
    instances: int,
    open_connections: int,
    claimed_connections: int,
    waiting_connections: int,
) -> Grant:
    """Return the slots of an instance that has `open_connections`, and more that wait for a slot.

    It keeps what it claims, because it may be filling those slots this very moment. It gets what waits
    as far as the limit goes, and a share of what is free as long as all that is reserved stays under
    half of the limit: far from the limit nobody asks, near it every slot is dealt out one by one.
    """
    needed = max(open_connections, min(open_connections + waiting_connections, limit - reserved_elsewhere))
    far = limit // 2 - reserved_elsewhere - needed
    target = needed + max(0, min(LARGEST_SPARE, far // (2 * instances)))
    excess = claimed_connections - target
    return Grant(max(claimed_connections, target), excess > (LARGEST_SPARE if far > 0 else 0))


def address_grant(*, limit: int, open_elsewhere: int, open_connections: int, waiting_connections: int) -> int:
    """Return how many connections of one address an instance may have from now on.

    It keeps what it has, and gets what waits as far as the limit goes. Nothing is held in reserve: who
    comes from an address that is counted always asks.
    """
    return max(open_connections, min(open_connections + waiting_connections, limit - open_elsewhere))
