"""The unique-id of each message (UIDL), which stays the same in all sessions.

A Maildir name is `UNIQUE` while the message is in `new`, and `UNIQUE:2,FLAGS` in `cur`. Only the part before
the colon, its unique part, stays as long as the message, and it is the unique-id. File systems without
colons have a semicolon or an exclamation mark instead. The fields before it (`,S=`, `,W=`) belong to the
unique part: they do not change with flags, and clients know messages by it.

Two files with the same unique part are two messages: one has the plain unique-id, the other one a unique-id
of its own. It keeps that when the first one is gone, after a restart and in another process. So such a
unique-id is noted in the maildir, in a file beside `new` and `cur`, one on each line.
"""

import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from hashlib import blake2b

from pop3_service.maildir.file_location import FileLocation
from pop3_service.maildir.folder import ABSENT_ERRORS, OPEN_FLAGS, Folder

FILE_NAME = b"peep-unique-ids"

LARGEST_OCTETS = 1 << 20
"""Some 25,000 unique-ids. A larger file is not ours, and is not read."""

# RFC 1939, section 7 (UIDL): one to 70 characters from 0x21 to 0x7E.
_UNIQUE_ID = re.compile(rb"[!-~]{1,70}")
_DIGEST_OCTETS = 20
_FLAGS_WITHOUT_COLON = re.compile(rb"[;!]2,[A-Za-z]*\Z")

_APPEND_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_FOR_THE_OWNER = 0o600


def unique_part(name: bytes) -> bytes:
    """Return the part of a file's name that stays when flags change and the file moves."""
    part, colon, _ = name.partition(b":")
    if not colon and b"2," in name and (flags := _FLAGS_WITHOUT_COLON.search(name)):
        return name[: flags.start()]
    return part


def unique_id_of(part: bytes) -> bytes:
    """Return the unique-id for a unique part: itself where RFC 1939 allows it, else a digest."""
    return part if _UNIQUE_ID.fullmatch(part) else _encoded(part)


def unique_id_of_namesake(part: bytes, inode: int) -> bytes:
    """Return the unique-id of a second message with the same unique part; it depends on the file alone."""
    return _encoded(b"%b:%d" % (part, inode))


def _encoded(text: bytes) -> bytes:
    # A unique part contains no colon. So no unique part equals an encoded text, and the text of a
    # namesake is never the unique part of another message.
    return b":" + blake2b(text, digest_size=_DIGEST_OCTETS).hexdigest().encode("ascii")


def with_unique_ids(
    locations: Sequence[FileLocation],
    noted: AbstractSet[bytes] = frozenset(),
    had_plain_id: Callable[[FileLocation], bool] = lambda _: False,
) -> tuple[list[tuple[FileLocation, bytes]], set[bytes]]:
    """Return one location and the unique-id of each message, in any order, and the ids that are not plain.

    Two names of one file with the same unique part are one message: for a moment it can be in `new` and
    `cur`. Of two files with the same unique part the one that had the plain unique-id has it, else the
    older one (by mtime, then by inode). Files whose own unique-ids are in `noted` keep these.
    """
    by_part: defaultdict[bytes, list[FileLocation]] = defaultdict(list)
    for location in locations:
        by_part[unique_part(location.name)].append(location)
    identified, own = [], set()
    for part, namesakes in by_part.items():
        free = []
        for location in _one_for_each_file(namesakes):
            own_id = unique_id_of_namesake(part, location.identity.inode)
            if own_id in noted:
                identified.append((location, own_id))
                own.add(own_id)
            else:
                free.append((location, own_id))
        free.sort(key=lambda each: not had_plain_id(each[0]))  # stable: otherwise the older one is first
        identified += [(location, unique_id_of(part)) for location, _ in free[:1]]
        identified += free[1:]
        own.update(own_id for _, own_id in free[1:])
    return identified, own


def _one_for_each_file(namesakes: Iterable[FileLocation]) -> list[FileLocation]:
    files: dict[tuple[int, int], FileLocation] = {}
    # A program that moves mail by link and unlink leaves the name in `cur`.
    for location in sorted(namesakes, key=lambda each: (each.folder != b"cur", each.name)):
        files.setdefault((location.identity.device, location.identity.inode), location)
    return sorted(files.values(), key=lambda each: (each.identity.mtime_ns, each.identity.inode))


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

    Without space, or the right to write, nothing is noted and no login fails: the unique-ids then stay the
    same as long as both files are there.
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
