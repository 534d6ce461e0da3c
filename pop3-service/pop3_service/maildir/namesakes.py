"""Which messages have a unique-id of their own because another one had the plain one of their name.

They keep it when the other is gone, after a restart and in another process too: so it is noted in the
maildir, in a file beside `new` and `cur` that only such a maildir has. A line of it is a unique-id.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress

from pop3_service.maildir.folder import ABSENT_ERRORS, OPEN_FLAGS, Folder

FILE_NAME = b"peep-unique-ids"

LARGEST_OCTETS = 1 << 20
"""Some 25,000 unique-ids, each for two files with one name. A larger file is not ours, and not read."""

_APPEND_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_FOR_THE_OWNER = 0o600


def noted_unique_ids(folders: Sequence[Folder]) -> frozenset[bytes]:
    """Return the unique-ids that are noted in the maildir of these folders; blocks on the disk.

    Raises OSError when they cannot be read: without them a message would get another unique-id.
    """
    if not folders:
        return frozenset()
    try:
        descriptor = folders[0].open_beside(FILE_NAME, OPEN_FLAGS)
    except OSError as error:
        if error.errno not in ABSENT_ERRORS:
            raise
        return frozenset()
    with os.fdopen(descriptor, "rb") as file:
        if not _is_ours(os.fstat(descriptor)):
            return frozenset()
        return frozenset(file.read(LARGEST_OCTETS).split())


def note_unique_ids(folders: Sequence[Folder], unique_ids: Iterable[bytes]) -> None:
    """Note more unique-ids; blocks on the disk.

    Where that cannot be (no space, no right to write), they last as long as both files do: nobody's login
    shall fail for it.
    """
    with suppress(OSError):
        descriptor = folders[0].open_beside(FILE_NAME, _APPEND_FLAGS, _FOR_THE_OWNER)
        try:
            if _is_ours(os.fstat(descriptor)):
                os.write(descriptor, b"".join(unique_id + b"\n" for unique_id in unique_ids))
        finally:
            os.close(descriptor)


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size <= LARGEST_OCTETS
