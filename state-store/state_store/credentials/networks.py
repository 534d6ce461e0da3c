"""Networks of clients: who counts as one where connections and wrong passwords are counted."""

import functools
import ipaddress

UNKNOWN = "unknown"
"""The network of a client whose address nobody knows, on a Unix socket for one."""


@functools.lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return the network that a client's address counts for: IPv4 by address, IPv6 by /64.

    An IPv4-mapped IPv6 address is the IPv4 one. A host of IPv6 has a /64 for itself, and takes as many
    addresses of it as it likes.
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
