"""How many octets a message file has on the wire."""

import errno
import os

from pop3_service.maildir.file_location import FileIdentity
from pop3_service.protocol.multiline import OctetCounter, octets_and_plainness

CHUNK_OCTETS = 1 << 18
"""Octets of a file that are in memory at once. It also limits how long the counting keeps other threads from
running."""

# The errors of reading a FIFO or a folder that has replaced a file.
_NOT_A_FILE = frozenset({errno.ESPIPE, errno.EISDIR})


def counted_octets(descriptor: int, identity: FileIdentity) -> tuple[int, bool] | None:
    """Return how many octets the open file has on the wire, CRLF counted (RFC 1939, section 11).

    The second value is `octets_and_plainness`'s, and False for a message longer than CHUNK_OCTETS. Sizes in
    the file's name (`,S=`, `,W=`) are not used.

    Returns None when the file has another identity: it was replaced, or is being written to. Raises OSError
    when it cannot be read.
    """
    try:
        content = os.pread(descriptor, CHUNK_OCTETS, 0)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return None
        raise
    # After reading, so that the octets belong to exactly this mtime and size.
    if not identity.is_held_by(descriptor):
        return None
    if len(content) == identity.size:
        return octets_and_plainness(content)
    octets = _count_on(descriptor, content)
    return (octets, False) if identity.is_held_by(descriptor) else None


def _count_on(descriptor: int, chunk: bytes) -> int:
    counter = OctetCounter()
    position = 0
    while chunk:
        counter.feed(chunk)
        position += len(chunk)
        chunk = os.pread(descriptor, CHUNK_OCTETS, position)
    return counter.octets()
