"""How many octets a message file has on the wire."""

import errno
import os

from pop3_service.maildir.file_location import FileIdentity
from pop3_service.protocol.multiline import OctetCounter, octets_and_plainness

# Bounds the memory of a scan, and how long the counting of one window keeps the interpreter to itself: a
# message of any size is counted through windows of this many octets.
CHUNK_OCTETS = 1 << 18

# What reading says of a FIFO or a folder that took the place of a file.
_NOT_A_FILE = frozenset({errno.ESPIPE, errno.EISDIR})


def counted_octets(descriptor: int, identity: FileIdentity) -> tuple[int, bool] | None:
    """Return how many octets the open file has on the wire, CRLF counted (RFC 1939, section 11).

    And whether only its line ends differ there (see `is_plain`); False for a message too long to know.

    None means that the file is not, or no longer, the one with this identity: somebody
    replaced it, or writes to it while we read. The name's `,S=` and `,W=` are never asked.
    Raises OSError when it cannot be read.
    """
    try:
        content = os.pread(descriptor, CHUNK_OCTETS, 0)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return None
        raise
    # Asked after the reading, so that the octets belong to exactly this mtime and size.
    if not identity.is_held_by(descriptor):
        return None
    if len(content) == identity.size:
        return octets_and_plainness(content)
    octets = _counted_on(descriptor, content)
    return (octets, False) if identity.is_held_by(descriptor) else None


def _counted_on(descriptor: int, chunk: bytes) -> int:
    counter = OctetCounter()
    position = 0
    while chunk:
        counter.feed(chunk)
        position += len(chunk)
        chunk = os.pread(descriptor, CHUNK_OCTETS, position)
    return counter.octets()
