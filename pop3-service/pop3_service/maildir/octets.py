"""How many octets a message file has on the wire."""

import os

from pop3_service.maildir.locator import FileIdentity
from pop3_service.protocol.multiline import OctetCounter, octets_on_the_wire
from pop3_service.protocol.surrogate import LONGEST_HEADER_OCTETS

# Bounds the memory of a scan, and how long the counting of one window keeps the interpreter to itself: a
# message of any size is counted through windows of this many octets.
CHUNK_OCTETS = 1 << 18


def start_and_octets(descriptor: int, identity: FileIdentity) -> tuple[bytes, int] | None:
    """Return the beginning of the open file, and its octets on the wire, CRLF counted (RFC 1939, section 11).

    The beginning is as long as a header may be (LONGEST_HEADER_OCTETS), or all of the file.

    None means that the file is not, or no longer, the one with this identity: somebody
    replaced it, or writes to it while we read. The name's `,S=` and `,W=` are never asked.
    Raises OSError when it cannot be read.
    """
    if not identity.is_held_by(descriptor):
        return None
    start = _start(descriptor, min(identity.size, LONGEST_HEADER_OCTETS))
    octets = octets_on_the_wire(start) if len(start) == identity.size else _count_on(descriptor, start)
    # Asked again, so that the octets belong to exactly this mtime and size.
    return (start, octets) if identity.is_held_by(descriptor) else None


def _start(descriptor: int, wanted: int) -> bytes:
    start = os.pread(descriptor, wanted, 0)
    while len(start) < wanted and (more := os.pread(descriptor, wanted - len(start), len(start))):
        start += more
    return start


def _count_on(descriptor: int, start: bytes) -> int:
    counter = OctetCounter()
    chunk, position = start, 0
    while chunk:
        counter.feed(chunk)
        position += len(chunk)
        chunk = os.pread(descriptor, CHUNK_OCTETS, position)
    return counter.octets()
