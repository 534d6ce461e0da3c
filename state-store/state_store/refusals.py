"""Refusals, which administrators set: suspended users, banned networks, and networks exempt from bans."""

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from enum import Enum

from state_store.credentials.networks import client_address

MOST_REFUSALS = 10_000
"""The most that can be in force: each POP3 process keeps all networks in memory."""

MOST_FOR_HELPDESK = MOST_REFUSALS * 9 // 10
"""The most that can be in force when the role `helpdesk` sets one: so the role `all` can always ban."""

LONGEST_REASON_CHARACTERS = 200
"""A reason has to fit into a reply of POP3, and into a line of a list."""

REFUSALS_A_PAGE = 100
"""Refusals that one run of a script reads, which blocks Redis for a millisecond at most."""

_MAPPED_BITS = 96
"""The prefix of IPv6 addresses that stand for IPv4 ones (RFC 4291, section 2.5.5.2)."""

_REASON = re.compile(r"[ -~]*")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class RefusalKind(Enum):
    """What a refusal does."""

    SUSPEND = "suspend"
    """A user cannot log in; mail still arrives, and the password stays."""
    BAN = "ban"
    """POP3 connections from a network are refused."""
    EXEMPT = "exempt"
    """A network is never banned, and its wrong passwords are never slowed down."""


class RefusalOutcome(Enum):
    """What became of a refusal that was to be set."""

    SET = "set"
    UNKNOWN_USER = "unknown user"
    PAST = "past"
    """Its end is in the past, by the store's clock."""
    FULL = "full"
    """There are as many as there may be."""


@dataclass(frozen=True, slots=True)
class NewRefusal:
    """A refusal that is to be set; it replaces one of the same kind and subject."""

    kind: RefusalKind
    subject: str
    """A user's name, or a network as `canonical_network` returns it."""
    reason: str = ""
    """Shown to clients; as `checked_reason` returns it."""
    until: float = 0.0
    """In seconds since the epoch, by the store's clock; 0: without an end."""


@dataclass(frozen=True, slots=True)
class Refusal(NewRefusal):
    """A refusal in force."""

    by: str = ""
    """Who has set it."""
    since: float = 0.0
    """In seconds since the epoch."""

    @property
    def refusal_id(self) -> str:
        """Its id, by which it is lifted: 12 hexadecimal digits, the same for equal kind and subject."""
        return refusal_id(self.kind, self.subject)


@dataclass(frozen=True, slots=True)
class RefusalCounts:
    """How many refusals of each kind are in force."""

    suspended: int = 0
    banned: int = 0
    exempt: int = 0


@dataclass(frozen=True, slots=True)
class RefusalPage:
    """Some of the refusals in force, sorted by kind and subject."""

    refusals: list[Refusal]
    next_after: str
    """Where the next page begins; empty on the last one."""
    counts: RefusalCounts
    """Of all that are in force."""


def refusal_id(kind: RefusalKind, subject: str) -> str:
    """Return the id that a refusal of this kind and subject has."""
    return hashlib.sha1(f"{kind.value} {subject}".encode(), usedforsecurity=False).hexdigest()[:12]


def checked_reason(text: str) -> str:
    """Return a reason as it is kept. Raises `ValueError`: its text says what is allowed.

    POP3 clients show it, and accept printable ASCII only (RFC 1939, section 3).
    """
    if len(text) > LONGEST_REASON_CHARACTERS or not _REASON.fullmatch(text):
        raise ValueError(
            f"must be at most {LONGEST_REASON_CHARACTERS} printable ASCII characters: mail programs show it"
        )
    return text.strip()


def canonical_network(text: str) -> str:
    """Return a network in its canonical form: `192.0.2.0/24`, `2001:db8::/32`, one address without a length.

    IPv4 that is written as IPv6 becomes IPv4. Raises `ValueError`: its text says what is wrong.
    """
    if "%" in text:
        raise ValueError("an address with an interface (%) is no network")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            "must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
        ) from None
    if network.network_address != ipaddress.ip_interface(text).ip:
        raise ValueError(f"has bits beyond its prefix: {network} would be the network")
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= _MAPPED_BITS:
            network = ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def holds_everybody(network: Network) -> bool:
    """Return whether a network contains every address of its family."""
    return network.prefixlen == 0


def is_in(address: str, network: Network) -> bool:
    """Return whether a client's address is in a network; one that is no IP address is in none."""
    parsed = client_address(address)
    return parsed is not None and parsed in network
