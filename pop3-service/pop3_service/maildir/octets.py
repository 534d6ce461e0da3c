"""How many octets a message file has on the wire."""

import os

from pop3_service.maildir.locator import FileIdentity
from pop3_service.protocol.multiline import OctetCounter, is_plain

# Bounds the memory of a scan, and how long the counting of one window keeps the interpreter to itself: a
# message of any size is counted through windows of this many octets.
CHUNK_OCTETS = 1 << 18


def counted_octets(descriptor: int, identity: FileIdentity) -> tuple[int, bool] | None:
    """Return how many octets the open file has on the wire, CRLF counted (RFC 1939, section 11).

    And whether only its line ends differ there (see `is_plain`); False for a message too long to know.

    None means that the file is not, or no longer, the one with this identity: somebody
    replaced it, or writes to it while we read. The name's `,S=` and `,W=` are never asked.
    Raises OSError when it cannot be read.
    """
    if not identity.is_held_by(descriptor):
        return None
    counter = OctetCounter()
    chunk = os.pread(descriptor, CHUNK_OCTETS, 0)
    plain = len(chunk) == identity.size and is_plain(chunk)
    position = 0
    while chunk:
        counter.feed(chunk)
        position += len(chunk)
        # A short message is whole after one read, and need not be asked for more.
        chunk = os.pread(descriptor, CHUNK_OCTETS, position) if position != identity.size else b""
    # Asked again, so that the octets belong to exactly this mtime and size.
    return (counter.octets(), plain) if identity.is_held_by(descriptor) else None
