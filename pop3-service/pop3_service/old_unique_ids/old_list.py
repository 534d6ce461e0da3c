"""What the readers of other servers' files return, and the limits of these files."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pop3_service.maildir.folder import OPEN_FLAGS

LARGEST_OCTETS = 1 << 28
"""Far above what a server writes for 500,000 messages. A larger file is refused, not read."""

Present = Mapping[bytes, bytes]
"""The messages that are in the maildir: a file name for each unique part."""


class Unusable(Exception):
    """The old server's file cannot be used; the text says in which line, and why."""


@dataclass(frozen=True, slots=True)
class OldMessage:
    """A message of the old server: its unique part (the base name of its file) and its unique-id."""

    part: bytes
    unique_id: bytes


@dataclass(frozen=True, slots=True)
class OldList:
    """The unique-ids of the messages that are still in the maildir, in the old server's order."""

    messages: Sequence[OldMessage]
    evidence: str
    """What the unique-ids are made from, and why that was assumed."""
    gone: int = 0
    """Messages of the old server that are no longer in the maildir."""
    renamed: int = 0
    """Messages that shared a unique-id with another one and have it with a number, as Dovecot can do it."""
    unmatched: int = 0
    """Entries whose message could not be identified with certainty."""
    skipped: int = 0
    """Lines that the old server itself skips."""


def read_whole(path: str, directory: int | None = None) -> bytes:
    """Return the content of a file, whose path may begin at the open `directory`.

    A link is not followed, and only a regular file is read. Raises Unusable, and OSError as the system gives
    it.
    """
    descriptor = os.open(path, OPEN_FLAGS, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("it is no regular file")
        if status.st_size > LARGEST_OCTETS:
            raise Unusable(f"it has over {LARGEST_OCTETS:,} octets")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST_OCTETS)
    finally:
        os.close(descriptor)
