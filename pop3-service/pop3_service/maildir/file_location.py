"""By what a message is found again on disk."""

import os
import stat
from typing import NamedTuple

from pop3_service.protocol.maildrop import Message


class FileIdentity(NamedTuple):
    """What must be unchanged for a remembered fact about a file to hold still.

    A rename keeps all four, so a message that gets a flag or moves from `new` to `cur` keeps
    its identity; a rewrite in place does not. `size` is in octets of the file.
    """

    device: int
    inode: int
    mtime_ns: int
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileIdentity":
        """Return the identity of the file that `status` describes."""
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def is_same_file(self, status: os.stat_result) -> bool:
        """Tell whether `status` describes this file, changed or not."""
        return status.st_ino == self.inode and status.st_dev == self.device

    def is_unchanged(self, status: os.stat_result) -> bool:
        """Tell whether `status` describes this file with the content that it had."""
        return (
            status.st_ino == self.inode
            and status.st_mtime_ns == self.mtime_ns
            and status.st_size == self.size
            and status.st_dev == self.device
        )

    def is_held_by(self, descriptor: int) -> bool:
        """Tell whether the open file is a regular one, and this one with the content that it had."""
        status = os.fstat(descriptor)
        return stat.S_ISREG(status.st_mode) and self.is_unchanged(status)


class FileLocation(NamedTuple):
    """Where a message was when the maildir was scanned: the folder (`new` or `cur`) and the name."""

    folder: bytes
    name: bytes
    identity: FileIdentity

    @property
    def path(self) -> bytes:
        """The way to the file from the maildir."""
        return b"%b/%b" % (self.folder, self.name)


def location_of(message: Message) -> FileLocation:
    """Return the location of a message that came from a scan.

    Raises TypeError for a message of another origin, which no file belongs to.
    """
    if not isinstance(message.location, FileLocation):
        raise TypeError("this message was not found in a maildir")
    return message.location
