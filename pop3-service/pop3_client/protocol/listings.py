"""What LIST, UIDL and CAPA list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pop3_client.protocol.errors import Misbehaved

_LARGEST_NUMBER = 1 << 63


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """A message as a server lists it: its number, its octets on the wire, its unique-id as it came."""

    number: int
    octets: int
    unique_id: bytes


def scan_listing(lines: Iterable[bytes]) -> dict[int, int]:
    """Return the octets of each message by its number, ascending. Raises `Misbehaved`."""
    listed: dict[int, int] = {}
    for line in lines:
        number, rest = _numbered(line, listed, "LIST")
        # RFC 1939, section 5: what follows the octets is of the server's own.
        listed[number] = _number(rest.partition(b" ")[0], "LIST")
    return listed


def unique_id_listing(lines: Iterable[bytes]) -> dict[int, bytes]:
    """Return the unique-id of each message by its number, ascending. Raises `Misbehaved`.

    A unique-id is whatever follows the number: it may break the rules of RFC 1939, section 7.
    """
    listed: dict[int, bytes] = {}
    for line in lines:
        number, unique_id = _numbered(line, listed, "UIDL")
        listed[number] = unique_id.strip()
    return listed


def listed_messages(octets: Mapping[int, int], unique_ids: Mapping[int, bytes]) -> list[ListedMessage]:
    """Return the messages that both listings name. Raises `Misbehaved` when they name different ones."""
    if octets.keys() != unique_ids.keys():
        raise Misbehaved(
            f"LIST and UIDL do not name the same messages ({len(octets):,} and {len(unique_ids):,})"
        )
    return [ListedMessage(number, octets[number], unique_id) for number, unique_id in unique_ids.items()]


def capabilities(lines: Iterable[bytes]) -> dict[str, tuple[str, ...]]:
    """Return the arguments of each capability by its tag, all in upper case (RFC 2449, section 3)."""
    words = (line.decode("ascii", "replace").upper().split() for line in lines)
    return {tag: tuple(arguments) for tag, *arguments in filter(None, words)}


def _numbered(line: bytes, listed: dict[int, Any], command: str) -> tuple[int, bytes]:
    first, _, rest = line.strip().partition(b" ")
    number = _number(first, command)
    if number <= next(reversed(listed), 0):
        raise Misbehaved(f"{command} names message {number} out of turn")
    return number, rest.strip()


def _number(digits: bytes, command: str) -> int:
    if digits.isdigit() and len(digits) < 20 and (number := int(digits)) < _LARGEST_NUMBER:
        return number
    raise Misbehaved(f"{command} has a line without the numbers that belong there")
