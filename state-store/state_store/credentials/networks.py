"""Networks of clients: the unit by which connections and wrong passwords are counted."""

import functools
import ipaddress

UNKNOWN = "unknown"
"""The network of a client without a known address, for example on a Unix socket."""


@functools.lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return the network that a client's address counts for: IPv4 by address, IPv6 by /64.

    An IPv4-mapped IPv6 address counts as the IPv4 one. An IPv6 host has a whole /64, and may use any of its
    addresses.
    """
    if ":" not in address:
        return address or UNKNOWN
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(parsed) >> 64 << 64)}/64"
