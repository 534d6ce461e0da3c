"""`maildirsize`: the file in which programs that deliver keep count of a maildir (Maildir++ quotas).

Its first line is the quota, each other one a change, `<octets> <messages>`: their sums are what the maildir
holds. Whoever removes mail appends what went; else deliveries are refused for a quota that is not used up.
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

# maildirquota(7): a larger or older file is not to be believed. Without one the next delivery counts anew.
LARGEST_OCTETS = 5120
OLDEST_SECONDS = 15 * 60.0

_NAME = b"maildirsize"
_NO_SUCH_FILE = ABSENT_ERRORS | {errno.EISDIR}
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

# What a name says of its size is what was counted when the message came (with compressed mail, its size
# before that). A name may have the field without a number: then the file's size counts.
_SIZE = re.compile(rb",S=([0-9]{1,18})(?=[:,]|\Z)")


@dataclass(slots=True)
class QuotaTally:
    """What was removed from a maildir, as quotas count it.

    `fault` is the system's reason when `maildirsize` could neither be kept true nor removed, else empty.
    """

    messages: int = 0
    octets: int = 0
    fault: str = ""

    def add(self, location: FileLocation) -> None:
        """Count a message whose file is gone."""
        said = _SIZE.search(location.name)
        self.messages += 1
        self.octets += int(said[1]) if said else location.identity.size


@contextmanager
def quota_kept(folders: Sequence[Folder], tally: QuotaTally) -> Iterator[None]:
    """Take what `tally` counts meanwhile off the maildir's `maildirsize`, if it has one; blocks on the disk.

    The file is opened before anything is removed: whoever counts the maildir anew meanwhile puts another file
    into its place. Only a regular file with no other name is touched, and no link is followed.
    """
    descriptor = _opened(folders, tally)
    try:
        yield
    finally:
        if descriptor is not None:
            try:
                if tally.messages:
                    _write(folders[0], descriptor, b"-%d -%d\n" % (tally.octets, tally.messages))
            except OSError as error:
                tally.fault = str(error.strerror)
            finally:
                os.close(descriptor)


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
    if _is_believed(folder, os.fstat(descriptor), len(line)):
        with suppress(OSError):  # a full disk for one
            if os.write(descriptor, line) == len(line):
                return
    with suppress(FileNotFoundError):
        folder.unlink(beside(_NAME))


def _is_believed(folder: Folder, opened: os.stat_result, more_octets: int) -> bool:
    try:
        status = folder.status(beside(_NAME))
    except FileNotFoundError:
        return False
    # Another file is there when somebody has counted anew, with some of the removed messages or without them.
    is_same = (status.st_dev, status.st_ino) == (opened.st_dev, opened.st_ino)
    is_fresh = time.time() - status.st_mtime <= OLDEST_SECONDS
    return is_same and is_fresh and status.st_size + more_octets <= LARGEST_OCTETS
