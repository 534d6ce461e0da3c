import struct
import zlib
from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest

from line_server.proxy_header import (
    LONGEST_BLOCK_OCTETS,
    SIGNATURE,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderReader,
    TrustedProxies,
    crc32c,
)

TCP4, UDP4, TCP6, UDP6, UNIX = 0x11, 0x12, 0x21, 0x22, 0x31
LOCAL, PROXY = 0x20, 0x21
MAPPED = "::ffff:192.0.2.7"


def binary(kind: int, block: bytes, command: int = PROXY) -> bytes:
    return SIGNATURE + bytes((command, kind)) + len(block).to_bytes(2) + block


def addresses(source: str, destination: str) -> bytes:
    return ip_address(source).packed + ip_address(destination).packed + struct.pack("!HH", 56324, 110)


def extension(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def with_checksum(header: Callable[[bytes], bytes]) -> bytes:
    """Return the header that `header` makes around a checksum, with the right one."""
    return header(crc32c(header(bytes(4))).to_bytes(4))


def read(octets: bytes) -> tuple[ProxyHeader | None, bytes]:
    reader = ProxyHeaderReader()
    return reader.feed(octets), reader.rest


def refusal(octets: bytes) -> str:
    with pytest.raises(ProxyHeaderError) as caught:
        ProxyHeaderReader().feed(octets)
    return str(caught.value)


V4_BLOCK = addresses("192.0.2.7", "198.51.100.1")
V6_BLOCK = addresses("2001:db8::7", "2001:db8::1")


# Version 1


def test_the_specifications_example_gives_the_source_address_and_leaves_the_rest() -> None:
    octets = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n"
    assert read(octets) == (ProxyHeader("192.168.0.1"), b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", "255.255.255.255"),
        (b"PROXY TCP6 2001:DB8:0:0::7 ::1 1 110\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 110\r\n", "192.0.2.7"),
        (
            b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n",
            "ffff:" * 7 + "ffff",
        ),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN \r\n", None),
        (b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n", None),
        (b"PROXY UNKNOWN what\nstands here\ris ignored \0\xff\r\n", None),
    ],
)
def test_a_line_gives_the_normalised_source_address(line: bytes, address: str | None) -> None:
    assert read(line + b"CAPA\r\n") == (ProxyHeader(address), b"CAPA\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 110 1\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 110 \r\n",
        b"PROXY TCP4  192.0.2.7 192.0.2.1 56324 110\r\n",
        b"PROXY TCP4 192.0.2.7  192.0.2.1 56324 110\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324  110\r\n",
        b"PROXY  TCP4 192.0.2.7 192.0.2.1 56324 110\r\n",
        b" PROXY TCP4 192.0.2.7 192.0.2.1 56324 110\r\n",
        b"proxy TCP4 192.0.2.7 192.0.2.1 56324 110\r\n",
        b"PROXY tcp4 192.0.2.7 192.0.2.1 56324 110\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.1 56324 110\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 65536\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 110\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 056324 110\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 00\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 -1 110\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 a 110\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 1. 110\r\n",
        b"PROXY TCP4 192.0.02.7 192.0.2.1 56324 110\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.1 56324 110\r\n",
        b"PROXY TCP4 192.0.2 192.0.2.1 56324 110\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.256 56324 110\r\n",
        b"PROXY TCP4 ::1 ::1 56324 110\r\n",
        b"PROXY TCP4 192.0.2.7 ::1 56324 110\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.1 56324 110\r\n",
        b"PROXY TCP6 ::1::2 ::1 56324 110\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 56324 110\r\n",
        b"PROXY TCP6 00001::1 ::1 56324 110\r\n",
        b"PROXY TCP4 192.0.2.7\t192.0.2.1 56324 110\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 110\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 110\n\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 110\r\r\n",
        b"PROXY TCP4 \xb9\xb2.0.2.7 192.0.2.1 56324 110\r\n",
    ],
)
def test_a_line_that_is_not_exactly_right_is_refused_without_quoting_it(line: bytes) -> None:
    text = refusal(line)
    assert "192" not in text
    assert "::" not in text
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    "octets", [b"U", b"\x16", b"PU", b"PROXY U ", b"PROXY TCP5", b"\r\n\r\nQ", SIGNATURE[:-1] + b"\r"]
)
def test_what_cannot_become_a_header_is_refused_at_the_first_octet_that_tells(octets: bytes) -> None:
    assert read(octets[:-1])[0] is None
    assert "does not begin" in refusal(octets)


@pytest.mark.parametrize("beginning", [b"PROXY UNKNOWN ", b"PROXY TCP6 "])
def test_a_line_may_have_107_octets_and_no_more(beginning: bytes) -> None:
    assert read(beginning.ljust(106, b"1"))[0] is None
    assert "107 octets" in refusal(beginning.ljust(107, b"1"))
    assert "107 octets" in refusal(beginning.ljust(106, b"1") + b"\r\n")


def test_an_unknown_line_of_107_octets_is_taken() -> None:
    assert read(b"PROXY UNKNOWN ".ljust(105, b"x") + b"\r\nCAPA\r\n") == (ProxyHeader(None), b"CAPA\r\n")


# Version 2


@pytest.mark.parametrize(
    ("kind", "block", "address"),
    [
        (TCP4, V4_BLOCK, "192.0.2.7"),
        (TCP6, V6_BLOCK, "2001:db8::7"),
        (TCP6, addresses(MAPPED, "::1"), "192.0.2.7"),
        (UDP4, V4_BLOCK, None),
        (UDP6, V6_BLOCK, None),
        (UNIX, bytes(216), None),
        (0x00, b"", None),
        (0x00, b"anything", None),
        (0x10, b"\1\2\3\4", None),
    ],
)
def test_a_binary_header_gives_the_address_of_a_tcp_client_alone(
    kind: int, block: bytes, address: str | None
) -> None:
    assert read(binary(kind, block) + b"CAPA\r\n") == (ProxyHeader(address), b"CAPA\r\n")


@pytest.mark.parametrize("kind", [0x00, TCP4, 0xFF])
@pytest.mark.parametrize("block", [b"", b"\3\0\4", V4_BLOCK])
def test_a_local_connection_has_no_address_whatever_its_block_holds(kind: int, block: bytes) -> None:
    assert read(binary(kind, block, LOCAL) + b"CAPA\r\n") == (ProxyHeader(None, is_local=True), b"CAPA\r\n")


@pytest.mark.parametrize(
    ("command", "word"), [(0x22, "command"), (0x2F, "command"), (0x11, "version"), (0x31, "version")]
)
def test_another_version_or_command_is_refused_as_soon_as_it_shows(command: int, word: str) -> None:
    assert word in refusal(SIGNATURE + bytes((command,)))


@pytest.mark.parametrize("kind", [0x41, 0xF0, 0x13, 0x2F])
def test_another_family_or_transport_is_refused_as_soon_as_it_shows(kind: int) -> None:
    assert "family" in refusal(SIGNATURE + bytes((PROXY, kind)))


@pytest.mark.parametrize(("kind", "octets"), [(TCP4, 12), (UDP4, 12), (TCP6, 36), (UDP6, 36), (UNIX, 216)])
def test_a_length_that_cannot_hold_the_addresses_is_refused_before_they_come(kind: int, octets: int) -> None:
    assert "too short" in refusal(SIGNATURE + bytes((PROXY, kind)) + (octets - 1).to_bytes(2))
    assert read(SIGNATURE + bytes((PROXY, kind)) + octets.to_bytes(2))[0] is None


@pytest.mark.parametrize("command", [LOCAL, PROXY])
def test_4096_octets_may_follow_and_no_more(command: int) -> None:
    filled = V4_BLOCK + extension(4, bytes(LONGEST_BLOCK_OCTETS - len(V4_BLOCK) - 3))
    header, rest = read(binary(TCP4, filled, command) + b"CAPA\r\n")
    assert header == (ProxyHeader("192.0.2.7") if command == PROXY else ProxyHeader(None, is_local=True))
    assert rest == b"CAPA\r\n"
    assert "4096 octets" in refusal(SIGNATURE + bytes((command, TCP4)) + (4097).to_bytes(2))


def test_extensions_are_skipped() -> None:
    block = V4_BLOCK + extension(1, b"pop3") + extension(4, b"") + extension(0xEA, b"\1vpce-1")
    assert read(binary(TCP4, block) + b"\r\n") == (ProxyHeader("192.0.2.7"), b"\r\n")


@pytest.mark.parametrize("tail", [b"\4", b"\4\0", b"\4\0\1", extension(4, b"") + b"\4\0\2\0"])
def test_extensions_that_reach_over_the_end_are_refused(tail: bytes) -> None:
    assert "extensions" in refusal(binary(TCP4, V4_BLOCK + tail) + bytes(100))


def test_the_checksum_is_the_one_of_the_rfc() -> None:
    # RFC 3720, appendix B.4, and the usual check value.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") != zlib.crc32(b"123456789")


def test_a_right_checksum_passes_wherever_it_stands() -> None:
    octets = with_checksum(
        lambda crc: binary(TCP6, V6_BLOCK + extension(4, b"ab") + extension(3, crc) + extension(1, b"pop3"))
    )
    assert read(octets + b"NOOP\r\n") == (ProxyHeader("2001:db8::7"), b"NOOP\r\n")


def test_a_changed_octet_under_a_checksum_is_refused() -> None:
    octets = bytearray(with_checksum(lambda crc: binary(TCP4, V4_BLOCK + extension(3, crc))))
    octets[19] ^= 1
    assert "checksum" in refusal(bytes(octets))


@pytest.mark.parametrize("value", [b"", b"\1\2\3"])
def test_a_checksum_that_is_too_short_is_refused(value: bytes) -> None:
    assert "checksum" in refusal(binary(TCP4, V4_BLOCK + extension(3, value)))


def test_a_checksum_that_is_too_long_is_refused_though_its_number_is_right() -> None:
    octets = with_checksum(lambda crc: binary(TCP4, V4_BLOCK + extension(3, b"\0" + crc)))
    assert "checksum" in refusal(octets)


# Trust


@pytest.mark.parametrize(
    ("host", "is_trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("::ffff:a01:203", True),
        ("11.1.2.3", False),
        ("::ffff:11.1.2.3", False),
        ("::10.1.2.3", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::9", True),
        ("2001:db9::9", False),
        ("", False),
        ("/run/peep.sock", False),
        ("localhost", False),
        ("10.1.2.3:1110", False),
        ("[2001:db8::9]", False),
    ],
)
def test_only_peers_in_the_networks_are_trusted(host: str, is_trusted: bool) -> None:
    networks = [ip_network(network) for network in ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")]
    assert TrustedProxies(networks).trusts(host) is is_trusted


def test_a_link_local_peer_is_trusted_on_every_interface() -> None:
    assert TrustedProxies([ip_network("fe80::/10")]).trusts("fe80::1%eth0")


def test_a_network_written_as_mapped_ipv6_matches_the_peer_shown_so() -> None:
    assert TrustedProxies([ip_network("::ffff:10.0.0.0/104")]).trusts("::ffff:10.1.2.3")


def test_without_networks_nobody_is_trusted() -> None:
    assert not TrustedProxies([]).trusts("127.0.0.1")
