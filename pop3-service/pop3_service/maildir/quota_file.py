"""`maildirsize`: the file in which delivering programs count the mail of a maildir (Maildir++ quotas).

Its first line is the quota. Each other line is a change, `<octets> <messages>`; their sums are the mail in
the maildir. A program that removes mail appends a line. Without it deliveries would be refused below the
quota.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pop3_service.maildir.file_location import FileLocation
from pop3_service.maildir.folder import ABSENT_ERRORS, Folder, beside

# maildirquota(7): a larger or older file is not valid. Without a file the next delivery counts the maildir.
LARGEST_OCTETS = 5120
OLDEST_SECONDS = 15 * 60.0

_NAME = b"maildirsize"
_NO_SUCH_FILE = ABSENT_ERRORS | {errno.EISDIR}
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

# The size in a name is the one that was counted on delivery (for compressed mail the uncompressed size).
# Without it the file's size was counted.
_SIZE = re.compile(rb",S=([0-9]{1,18})(?=[:,]|\Z)")


@dataclass(slots=True)
class QuotaTally:
    """The removed messages of a maildir, as quotas count them.

    `fault` is the system's reason why `maildirsize` could be neither updated nor removed, else empty.
    """

    messages: int = 0
    octets: int = 0
    fault: str = ""

    def add(self, location: FileLocation) -> None:
        """Count a removed message."""
        in_name = _SIZE.search(location.name)
        self.messages += 1
        self.octets += int(in_name[1]) if in_name else location.identity.size


@contextmanager
def quota_kept(folders: Sequence[Folder], tally: QuotaTally) -> Iterator[None]:
    """Subtract what `tally` counts meanwhile from `maildirsize`, if there is one; blocks on the disk.

    The file is opened before a message is removed: a program that counts the maildir meanwhile replaces the
    file. Only a regular file with one name is changed, and no link is followed.
    """
    descriptor = _opened(folders, tally)
    try:
        yield
    finally:
        if descriptor is not None:
            try:
                try:
                    if tally.messages:
                        _write(folders[0], descriptor, b"-%d -%d\n" % (tally.octets, tally.messages))
                finally:
                    os.close(descriptor)  # a file server may say only now that it has no room for the line
            except OSError as error:
                tally.fault = str(error.strerror)


def _opened(folders: Sequence[Folder], tally: QuotaTally) -> int | None:
    if not folders:
        return None
    try:
        descriptor = folders[0].open_beside(_NAME, _FLAGS)
    except OSError as error:
        if error.errno not in _NO_SUCH_FILE:
            tally.fault = str(error.strerror)
        return None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    return None


def _write(folder: Folder, descriptor: int, line: bytes) -> None:
    if _is_valid(folder, os.fstat(descriptor), len(line)):
        with suppress(OSError):  # a full disk for one
            if os.write(descriptor, line) == len(line):
                return
    with suppress(FileNotFoundError):
        folder.unlink(beside(_NAME))


def _is_valid(folder: Folder, opened: os.stat_result, more_octets: int) -> bool:
    try:
        status = folder.status(beside(_NAME))
    except FileNotFoundError:
        return False
    # Another file: a program has counted the maildir meanwhile, with or without the removed messages.
    is_same = (status.st_dev, status.st_ino) == (opened.st_dev, opened.st_ino)
    is_fresh = time.time() - status.st_mtime <= OLDEST_SECONDS
    return is_same and is_fresh and status.st_size + more_octets <= LARGEST_OCTETS
