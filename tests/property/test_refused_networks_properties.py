"""Banned and exempt networks match as `ipaddress` says, however many there are."""

import asyncio
import ipaddress
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state_store.refusals import RefusalKind, canonical_network, holds_everybody, is_in
from state_store.refused_networks import NetworkRule, RefusedNetworks

# Few bits differ, so that addresses are often in networks.
_V4 = st.integers(0, 2**10 - 1).map(lambda low: ipaddress.IPv4Address(0xC0000000 + (low << 18)))
_V6 = st.integers(0, 2**10 - 1).map(lambda low: ipaddress.IPv6Address((0x2001 << 112) + (low << 60)))
_NEAR = st.one_of(_V4, _V6, st.ip_addresses())


@st.composite
def networks(draw: st.DrawFn) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Draw a network whose address is often near those that are asked for."""
    address = draw(_NEAR)
    length = draw(st.integers(0, address.max_prefixlen))
    return ipaddress.ip_network((address, length), strict=False)


def in_one_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address, found: list[str]) -> bool:
    own = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((own or address) in ipaddress.ip_network(one) for one in found)


@given(
    bans=st.lists(networks(), max_size=12),
    exempt=st.lists(networks(), max_size=4),
    addresses=st.lists(_NEAR, min_size=1, max_size=12),
)
def test_an_address_is_banned_that_is_in_a_banned_network_and_in_no_exempt_one(
    bans: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    exempt: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> None:
    banned, let_in = ([canonical_network(str(one)) for one in some] for some in (bans, exempt))
    found = RefusedNetworks(lambda _: False, lambda: 0.0)
    rules = [NetworkRule(RefusalKind.BAN, one, one, math.inf) for one in banned]
    rules += [NetworkRule(RefusalKind.EXEMPT, one, "", math.inf) for one in let_in]
    asyncio.run(found.replace(rules))
    for address in addresses:
        is_exempt = in_one_of(address, let_in)
        assert found.is_exempt(str(address)) == is_exempt
        reason = found.ban_on(str(address))
        assert (reason is not None) == (in_one_of(address, banned) and not is_exempt)
        assert reason is None or is_in(str(address), ipaddress.ip_network(reason))


@given(networks())
def test_a_network_has_one_form_and_that_form_is_its_own(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> None:
    form = canonical_network(str(network))
    assert canonical_network(form) == form
    assert holds_everybody(ipaddress.ip_network(form)) == form.endswith("/0")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("2001:DB8:0::/48", "2001:db8::/48"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_ways_to_write_a_network(text: str, form: str) -> None:
    assert canonical_network(text) == form


@pytest.mark.parametrize(
    "text",
    ["", " ", "alice", "192.0.2.7/24", "192.0.2.0/33", "1.2.3", "fe80::1%eth0", "10.0.0.0/8/8", "x" * 10_000],
)
def test_what_makes_no_sense_is_refused_and_never_repeated_at_length(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|bits beyond|interface") as error:
        canonical_network(text)
    assert len(str(error.value)) < 120


async def test_a_rule_ends_when_its_time_is_over() -> None:
    now = 100.0
    found = RefusedNetworks(lambda _: False, lambda: now)
    await found.replace(
        [
            NetworkRule(RefusalKind.BAN, "192.0.2.0/24", "short", 10.0),
            NetworkRule(RefusalKind.BAN, "192.0.0.0/16", "long", math.inf),
            NetworkRule(RefusalKind.EXEMPT, "192.0.2.7", "", 20.0),
        ]
    )
    assert (found.ban_on("192.0.2.9"), found.ban_on("192.0.2.7")) == ("short", None)
    now = 110.0
    assert (found.ban_on("192.0.2.9"), found.ban_on("192.0.2.7")) == ("long", None)
    now = 120.0
    assert found.ban_on("192.0.2.7") == "long"


@pytest.mark.parametrize("address", ["", "unknown", "/run/peep.sock"])
async def test_a_client_without_an_ip_address_is_in_no_network(address: str) -> None:
    found = RefusedNetworks(lambda _: False, lambda: 0.0)
    await found.replace([NetworkRule(RefusalKind.BAN, "0.0.0.0/0", "all", math.inf)])
    assert found.ban_on(address) is None
    assert not is_in(address, ipaddress.ip_network("0.0.0.0/0"))
