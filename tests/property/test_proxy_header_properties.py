"""Any cut of the octets gives the same header, the same rest, or the same refusal, at the same octet."""

import struct
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from line_server.proxy_header import (
    LONGEST_BLOCK_OCTETS,
    SIGNATURE,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderReader,
    crc32c,
)

ports = st.integers(0, 65535)
hosts = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
tails = st.binary(max_size=40)
cuts = st.lists(st.integers(0, 140), max_size=8)

# Mostly right, with one or two pieces out of place.
nearly_lines = st.lists(
    st.sampled_from(
        [
            b"PROXY",
            b" ",
            b" ",
            b" ",
            b"TCP4",
            b"TCP6",
            b"UNKNOWN",
            b"192.0.2.7",
            b"::1",
            b"110",
            b"\r\n",
            b"\r",
            b"\n",
            b"\0",
        ]
    )
    | st.just(b"1" * 60),
    max_size=14,
).map(lambda pieces: b"PROXY " + b"".join(pieces))
nearly_binary = st.builds(
    lambda preamble, block: SIGNATURE + bytes(preamble) + block,
    st.tuples(
        st.sampled_from([0x20, 0x21, 0x21, 0x22, 0x11]),
        st.sampled_from([0x00, 0x11, 0x11, 0x21, 0x31, 0x41, 0x13]),
        st.sampled_from([0, 0, 0, 16, 17]),
        st.integers(0, 60),
    ),
    st.binary(max_size=80),
)
streams = st.binary(max_size=30) | nearly_lines | nearly_binary

Outcome = tuple[ProxyHeader | str | None, bytes]


def outcome(octets: bytes, cuts: list[int]) -> Outcome:
    """Return the header or the refusal's text, and what came after a header."""
    reader = ProxyHeaderReader()
    places = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    for start, end in pairwise(places):
        try:
            header = reader.feed(octets[start:end])
        except ProxyHeaderError as error:
            return str(error), b""
        if header is not None:
            return header, reader.rest + octets[end:]
    return None, b""


def line(source: object, destination: object, ports: tuple[int, int]) -> bytes:
    family = "TCP4" if isinstance(source, IPv4Address) else "TCP6"
    return f"PROXY {family} {source} {destination} {ports[0]} {ports[1]}\r\n".encode()


def shown(address: IPv4Address | IPv6Address) -> str:
    return str(getattr(address, "ipv4_mapped", None) or address)


@given(streams, cuts)
@example(b"PROXY UNKNOWN ".ljust(106, b"x") + b"\r\n", [106, 107])
@example(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n" + b"x" * 100, [31])
def test_any_cut_gives_the_same_outcome(octets: bytes, cuts: list[int]) -> None:
    assert outcome(octets, cuts) == outcome(octets, []) == outcome(octets, list(range(len(octets))))


@given(streams)
def test_a_refusal_comes_with_the_first_octet_that_makes_it_certain(octets: bytes) -> None:
    told, _ = outcome(octets, [])
    if isinstance(told, str):
        first = next(end for end in range(len(octets) + 1) if isinstance(outcome(octets[:end], [])[0], str))
        assert outcome(octets[: first - 1], [])[0] is None
        assert outcome(octets[:first] + b"\r\nmore", [])[0] == told


@given(hosts, st.tuples(ports, ports), tails, cuts)
def test_every_line_gives_its_source_and_the_rest(
    hosts: tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address],
    ports: tuple[int, int],
    tail: bytes,
    cuts: list[int],
) -> None:
    source, destination = hosts
    assert outcome(line(source, destination, ports) + tail, cuts) == (ProxyHeader(shown(source)), tail)


@given(
    hosts,
    st.tuples(ports, ports),
    st.lists(
        st.tuples(st.integers(0, 255).filter(lambda kind: kind != 3), st.binary(max_size=30)), max_size=4
    ),
    st.booleans(),
    tails,
    cuts,
)
def test_every_binary_header_gives_its_source_and_the_rest(
    hosts: tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address],
    ports: tuple[int, int],
    extensions: list[tuple[int, bytes]],
    has_checksum: bool,
    tail: bytes,
    cuts: list[int],
) -> None:
    source, destination = hosts
    block = source.packed + destination.packed + struct.pack("!HH", *ports)
    block += b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in extensions)
    block += struct.pack("!BHI", 3, 4, 0) if has_checksum else b""
    kind = 0x11 if isinstance(source, IPv4Address) else 0x21
    header = SIGNATURE + bytes((0x21, kind)) + len(block).to_bytes(2) + block
    if has_checksum:
        header = header[:-4] + crc32c(header).to_bytes(4)
    assert outcome(header + tail, cuts) == (ProxyHeader(shown(source)), tail)


@given(st.integers(0, 400).map(lambda n: n * 20), st.sampled_from([b"PROXY UNKNOWN ", SIGNATURE + b"\x21\0"]))
def test_no_more_than_the_longest_header_is_ever_kept(octets: int, beginning: bytes) -> None:
    reader = ProxyHeaderReader()
    kept = 0
    try:
        for octet in beginning + b"\x10\0" + bytes(octets):
            if reader.feed(bytes((octet,))) is not None:
                break
            kept = max(kept, len(reader._data))
    except ProxyHeaderError:
        pass
    assert kept < 16 + LONGEST_BLOCK_OCTETS
