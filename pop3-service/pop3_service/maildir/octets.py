"""How many octets a message file has on the wire."""

import errno

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
    size = identity.size
    try:
        # Not more than `size`: what is appended meanwhile changes the identity.
        length, octets, last_octet, is_plain = count_wire(descriptor, 0, min(size, CHUNK_OCTETS), LINE_FEED)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return None
        raise
    # After reading, so that the octets belong to exactly this mtime and size.
    if not identity.is_held_by(descriptor):
        return None
    if length == size:
        return octets + missing_end_octets(last_octet), is_plain
    position = length
    while length and position < size:
        length, more, last_octet, _ = count_wire(
            descriptor, position, min(size - position, CHUNK_OCTETS), last_octet
        )
        octets += more
        position += length
    return (octets + missing_end_octets(last_octet), False) if identity.is_held_by(descriptor) else None
