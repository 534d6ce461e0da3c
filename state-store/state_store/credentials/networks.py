"""Addresses of clients, and their networks: the unit by which connections and wrong passwords are counted."""

import functools
import ipaddress

UNKNOWN = "unknown"
"""The network of a client without a known address, for example on a Unix socket."""


def client_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a client's address; an IPv4-mapped IPv6 one as the IPv4 one, None for what is no IP address."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


@functools.lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return the network that a client's address counts for: IPv4 by address, IPv6 by /64.

    An IPv4-mapped IPv6 address counts as the IPv4 one. An IPv6 host has a whole /64, and may use any of its
    addresses.
    """
    if ":" not in address:
        return address or UNKNOWN
    parsed = client_address(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return f"{ipaddress.IPv6Address(int(parsed) >> 64 << 64)}/64"
