"""The PROXY protocol, versions 1 and 2: a header with the address of the client whose connection is relayed.

From HAProxy's specification (proxy-protocol.txt, 2020/03/05). Everything that is not exactly a header is an
error, so no client can choose its own address.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

LONGEST_LINE_OCTETS = 107
"""The longest line of version 1, with its CRLF (section 2.1)."""

LONGEST_BLOCK_OCTETS = 4096
"""The most octets after the first 16 of version 2: 216 for addresses, the rest for extensions."""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PREAMBLE_OCTETS = 16
_TCP_BEGINNINGS = (b"PROXY TCP4 ", b"PROXY TCP6 ")
_BEGINNINGS = (SIGNATURE, *_TCP_BEGINNINGS, b"PROXY UNKNOWN ", b"PROXY UNKNOWN\r\n")
_FIELDS_SO_FAR = re.compile(rb"[0-9A-Fa-f:. ]*(?:\r\n?)?")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_OCTETS = {_TCP4: 12, 0x12: 12, _TCP6: 36, 0x22: 36, 0x31: 216, 0x32: 216}
"""For each family and transport of version 2 whose addresses the specification defines."""
_CRC32C = 3


class ProxyHeaderError(Exception):
    """The octets are no PROXY header; the text says what is wrong, and quotes none of them."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A proxy's header: the client's `address` as text, IPv4 mapped to IPv6 as IPv4.

    The address is None when the header has none, or `is_local`: the proxy connects for itself (a health
    check). Then the connection's own peer is the client.
    """

    address: str | None
    is_local: bool = False


class ProxyHeaderReader:
    """Reads the header at the beginning of a connection, in chunks cut anywhere.

    Once `feed` has returned a header, `rest` is what came after it.
    """

    __slots__ = ("_data", "rest")

    def __init__(self) -> None:
        self._data = b""
        self.rest = b""

    def feed(self, chunk: bytes) -> ProxyHeader | None:
        """Add octets and return the header once it is complete.

        Raises `ProxyHeaderError` as soon as the octets cannot become a header. At most
        `LONGEST_BLOCK_OCTETS` and the preamble are kept.
        """
        self._data += chunk
        data = self._data
        if not any(data.startswith(beginning[: len(data)]) for beginning in _BEGINNINGS):
            raise ProxyHeaderError("the connection does not begin with a PROXY header")
        is_text = data.startswith(b"P")
        octets = _line_octets(data) if is_text else _binary_octets(data)
        if octets is None or len(data) < octets:
            return None
        header, self.rest, self._data = data[:octets], data[octets:], b""
        address = _line_address(header) if is_text else _binary_address(header)
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        is_local = not is_text and header[12] == _LOCAL
        return ProxyHeader(None if address is None else str(address), is_local)


class TrustedProxies:
    """The networks whose hosts may send a PROXY header."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def trusts(self, host: str) -> bool:
        """Return whether the peer `host` is in one of them; a Unix socket is not."""
        if not self._networks:
            return False
        try:
            address = ip_address(host)
        except ValueError:
            return False
        # On a socket for both families IPv4 peers have IPv4-mapped IPv6 addresses.
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any(
            address in network or (mapped is not None and mapped in network) for network in self._networks
        )


# Version 1: one line of text (section 2.1)


def _line_octets(data: bytes) -> int | None:
    line = data[:LONGEST_LINE_OCTETS]
    if line.startswith(_TCP_BEGINNINGS):
        # Only after UNKNOWN any octets may come before the CRLF.
        line = line[: line.find(b"\n") + 1 or None]
        if not _FIELDS_SO_FAR.fullmatch(line, len(_TCP_BEGINNINGS[0])):
            raise ProxyHeaderError("the PROXY line holds an octet that cannot be there")
    end = line.find(b"\r\n")
    if end < 0 and len(data) >= LONGEST_LINE_OCTETS:
        raise ProxyHeaderError(f"the PROXY line is longer than {LONGEST_LINE_OCTETS} octets")
    return end + 2 if end >= 0 else None


def _line_address(line: bytes) -> IPv4Address | IPv6Address | None:
    family, *fields = line.decode("latin-1").removesuffix("\r\n").split(" ")[1:]
    if family == "UNKNOWN":
        return None
    if len(fields) != 4:
        raise ProxyHeaderError("the PROXY line must give two addresses and two ports, one space before each")
    kind = IPv4Address if family == "TCP4" else IPv6Address
    try:
        source, _destination = kind(fields[0]), kind(fields[1])
    except ValueError:  # its own text quotes the address
        raise ProxyHeaderError(f"the PROXY line's addresses are not those of {family}") from None
    if not all(_PORT.fullmatch(port) and int(port) <= 65535 for port in fields[2:]):
        raise ProxyHeaderError(
            "the PROXY line's ports must be numbers from 0 to 65535, without leading zeros"
        )
    return source


# Version 2: binary (section 2.2)


def _binary_octets(data: bytes) -> int | None:
    if len(data) > 12 and data[12] not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("the PROXY header's version or command is none that there is")
    # The family of a LOCAL connection has no meaning.
    is_relayed = len(data) > 13 and data[12] == _PROXY
    if is_relayed and (data[13] >> 4 > 3 or data[13] & 0xF > 2):
        raise ProxyHeaderError("the PROXY header's address family or transport is none that there is")
    if len(data) < _PREAMBLE_OCTETS:
        return None
    octets = int.from_bytes(data[14:16])
    if octets > LONGEST_BLOCK_OCTETS:
        raise ProxyHeaderError(f"the PROXY header announces more than {LONGEST_BLOCK_OCTETS} octets")
    if is_relayed and octets < _ADDRESS_OCTETS.get(data[13], 0):
        raise ProxyHeaderError("the PROXY header is too short for its addresses")
    return _PREAMBLE_OCTETS + octets


def _binary_address(header: bytes) -> IPv4Address | IPv6Address | None:
    kind = header[13]
    if header[12] == _LOCAL or kind not in _ADDRESS_OCTETS:
        return None
    _check_extensions(header, _PREAMBLE_OCTETS + _ADDRESS_OCTETS[kind])
    if kind == _TCP4:
        return IPv4Address(header[16:20])
    return IPv6Address(header[16:32]) if kind == _TCP6 else None


def _check_extensions(header: bytes, start: int) -> None:
    """Check the extensions from `start` on: each is a type, a length and a value; one is a checksum."""
    while start < len(header):
        value = start + 3
        end = value + int.from_bytes(header[start + 1 : value])
        if end > len(header):
            raise ProxyHeaderError("the PROXY header's extensions do not fit into it")
        if header[start] == _CRC32C:
            zeroed = header[:value] + bytes(end - value) + header[end:]
            if end - value != 4 or int.from_bytes(header[value:end]) != crc32c(zeroed):
                raise ProxyHeaderError("the PROXY header's checksum is wrong")
        start = end


def crc32c(octets: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of `octets`, as RFC 4960's Appendix B has it."""
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = crc >> 8 ^ table[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


@cache
def _crc32c_table() -> tuple[int, ...]:
    table = []
    for octet in range(256):
        crc = octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)
