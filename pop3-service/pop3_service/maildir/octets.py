"""How many octets a message file has on the wire."""

import os
import stat

from pop3_service.maildir.locator import FileIdentity
from pop3_service.protocol.multiline import OctetCounter, octets_on_the_wire

# Bounds the memory of a scan, and how long the counting of one window keeps the interpreter to itself: a
# message of any size is counted through windows of this many octets.
CHUNK_OCTETS = 1 << 18


def count_octets(descriptor: int, identity: FileIdentity, start: bytes = b"") -> int | None:
    """Return the octets on the wire of the open file, CRLF counted (RFC 1939, section 11).

    `start` is what has been read of it already: where that is all, it is not read again.

    None means that the file is not, or no longer, the one with this identity: somebody
    replaced it, or writes to it while we read. The name's `,S=` and `,W=` are never asked.
    Raises OSError when it cannot be read.
    """
    if not _is_unchanged(descriptor, identity):
        return None
    content = start if len(start) == identity.size else os.read(descriptor, CHUNK_OCTETS)
    if len(content) == identity.size:
        octets = octets_on_the_wire(content)
    else:
        octets = _count_in_chunks(descriptor, content)
    # Asked again, so that the octets belong to exactly this mtime and size.
    return octets if _is_unchanged(descriptor, identity) else None


def _count_in_chunks(descriptor: int, chunk: bytes) -> int:
    counter = OctetCounter()
    while chunk:
        counter.feed(chunk)
        chunk = os.read(descriptor, CHUNK_OCTETS)
    return counter.octets()


def _is_unchanged(descriptor: int, identity: FileIdentity) -> bool:
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and identity.is_unchanged(status)
