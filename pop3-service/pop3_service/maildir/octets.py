"""How many octets a message file has on the wire."""

import errno
import os

from pop3_service.maildir.file_location import FileIdentity
from pop3_service.maildir.wire import count_wire
from pop3_service.protocol.multiline import LINE_FEED, missing_end_octets

CHUNK_OCTETS = 1 << 18
"""Octets of a file that are in memory at once. It also limits how long the counting keeps other threads from
running."""

# The errors of reading a FIFO or a folder that has replaced a file.
_NOT_A_FILE = frozenset({errno.ESPIPE, errno.EISDIR})


def counted_octets(descriptor: int, identity: FileIdentity) -> tuple[int, bool] | None:
    """Return how many octets the open file has on the wire, CRLF counted (RFC 1939, section 11).

    The second value says whether it is plain (see `octets_and_plainness`); of a message longer than
    CHUNK_OCTETS it is False. Sizes in the file's name (`,S=`, `,W=`) are not used.

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
    octets, is_plain = count_wire(content, LINE_FEED)
    last_octet = content[-1] if content else LINE_FEED
    if len(content) == identity.size:
        return octets + missing_end_octets(last_octet), is_plain
    octets += _octets_after(descriptor, len(content), last_octet)
    return (octets, False) if identity.is_held_by(descriptor) else None


def _octets_after(descriptor: int, position: int, last_octet: int) -> int:
    octets = 0
    while chunk := os.pread(descriptor, CHUNK_OCTETS, position):
        octets += count_wire(chunk, last_octet)[0]
        position += len(chunk)
        last_octet = chunk[-1]
    return octets + missing_end_octets(last_octet)
