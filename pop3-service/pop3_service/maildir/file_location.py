"""How a message's file is recognized: by its identity, and by where the scan found it."""

import os
import stat
from typing import NamedTuple

from pop3_service.protocol.maildrop import Message

_LATEST_NS = 2**63 - 1


class FileIdentity(NamedTuple):
    """What stays the same as long as a file's content does.

    A rename changes none of the four: a message that gets a flag or moves from `new` to `cur` keeps its
    identity. Writing to the file changes it. `size` is in octets of the file. All are kept in 64 bits: of the
    times that a file may have, those after the year 2262 count as one.
    """

    device: int
    inode: int
    mtime_ns: int
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileIdentity":
        """Return the identity of the file that `status` describes."""
        return cls(status.st_dev, status.st_ino, _in_64_bits(status.st_mtime_ns), status.st_size)

    def is_same_file(self, status: os.stat_result) -> bool:
        """Return whether `status` describes this file, with any content."""
        return status.st_ino == self.inode and status.st_dev == self.device

    def is_unchanged(self, status: os.stat_result) -> bool:
        """Return whether `status` describes this file with the content that it had."""
        return (
            status.st_ino == self.inode
            and _in_64_bits(status.st_mtime_ns) == self.mtime_ns
            and status.st_size == self.size
            and status.st_dev == self.device
        )

    def is_held_by(self, descriptor: int) -> bool:
        """Return whether `descriptor` is this regular file with the content that it had."""
        status = os.fstat(descriptor)
        return stat.S_ISREG(status.st_mode) and self.is_unchanged(status)


def _in_64_bits(mtime_ns: int) -> int:
    return mtime_ns if -_LATEST_NS < mtime_ns < _LATEST_NS else _LATEST_NS


class FileLocation(NamedTuple):
    """Where the scan found a message: the folder (`new` or `cur`), the name, and the file's identity."""

    folder: bytes
    name: bytes
    identity: FileIdentity

    @property
    def path(self) -> bytes:
        """The path from the maildir to the file."""
        return b"%b/%b" % (self.folder, self.name)


def location_of(message: Message) -> FileLocation:
    """Return the location of a message that a scan found.

    Raises TypeError for any other message.
    """
    if not isinstance(message.location, FileLocation):
        raise TypeError("this message was not found in a maildir")
    return message.location
