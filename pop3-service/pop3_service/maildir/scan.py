"""Scan a maildir: which messages it holds, in which order, with which octets and unique-ids."""

import errno
import os
import re
import stat
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from pop3_service.maildir.errors import MaildirUnreadable
from pop3_service.maildir.file_location import FileIdentity, FileLocation
from pop3_service.maildir.folder import ABSENT_ERRORS, FOLDERS, Folder, FolderStamp, open_folders
from pop3_service.maildir.giving_way import giving_way
from pop3_service.maildir.listed import ListedMessages
from pop3_service.maildir.maildir import Maildir
from pop3_service.maildir.namesakes import with_unique_ids
from pop3_service.maildir.noted import NOTHING_NOTED, NotedUniqueIds, note_own, read_noted
from pop3_service.maildir.octets import counted_octets
from pop3_service.maildir.unique_ids import unique_part

# A listing during which a file is renamed can contain neither of its names. So a scan that was disturbed is
# repeated. In a maildir that always changes a login must end all the same.
SCAN_ATTEMPTS = 3

SORTED_AT_ONCE = 4000

# These errors concern one file, and last. After any other (no descriptors left, a file server in trouble)
# message after message would be left out, and clients take that for deletions: it fails the scan.
_ERRORS_OF_ONE_FILE = frozenset({errno.EACCES, errno.EPERM})

_TIMESTAMP = re.compile(rb"[0-9]+")

# The octets of a message on the wire, and whether it is plain.
_Octets = tuple[int, bool]


@dataclass(frozen=True, slots=True)
class MaildirScan:
    """What one scan found.

    `stamps` are those of FOLDERS from before the listing (None: no such folder). `left_out` counts the
    message files that cannot be read or are being written to. `noted` is the identity of the maildir's
    `peep-unique-ids` (None: no such file), and `damage` what of it could not be used.
    """

    stamps: tuple[FolderStamp | None, ...]
    messages: ListedMessages
    left_out: int
    noted: FileIdentity | None
    damage: str


def scan_maildir(maildir: Maildir, known: ListedMessages | None = None) -> MaildirScan:
    """Return the messages of `maildir` in the maildrop's order; blocks on the disk.

    The octets of files that are unchanged since `known`, an earlier scan, are taken from there; the other
    files are read. A missing maildir, `new` or `cur` holds no messages. Only regular files whose names do not
    begin with a dot are messages; nothing else is opened.

    Raises MaildirUnreadable when the maildir cannot be listed.
    """
    known = known if known is not None else ListedMessages()
    attempts_left = SCAN_ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            with open_folders(maildir) as folders:
                attempt = _Attempt(folders, known)
                scan = attempt.scan()
            if not attempt.was_disturbed or not attempts_left:
                return scan
            known = scan.messages  # their octets need not be counted again
        except OSError as error:
            # A file server that has lost a handle (ESTALE) may still find the name.
            if error.errno != errno.ESTALE or not attempts_left:
                raise MaildirUnreadable.caused_by("the maildir cannot be listed", error) from None
            maildir.let_go()


class _Attempt:
    """One pass over the open folders; `was_disturbed` says that mail was moved meanwhile."""

    def __init__(self, folders: Sequence[Folder], known: ListedMessages) -> None:
        self._folders = {folder.name: folder for folder in folders}
        self._known = known
        self._known_indexes = known.indexes_by_inode()
        self._left_out = 0
        self._noted = NOTHING_NOTED
        self.was_disturbed = False

    def scan(self) -> MaildirScan:
        stamps = self._stamps()
        messages = ListedMessages()
        for location, unique_id in self._identified():
            counted = self._octets(location)
            if counted is not None:
                octets, is_plain = counted
                messages.append(location, unique_id, octets, is_plain=is_plain)
        if self._stamps() != stamps:
            self.was_disturbed = True
        noted = self._noted
        messages = in_copied_order(messages, noted)
        return MaildirScan(stamps, messages, self._left_out, noted.identity, noted.damage)

    def _stamps(self) -> tuple[FolderStamp | None, ...]:
        folders = map(self._folders.get, FOLDERS)
        return tuple(folder.stamp() if folder else None for folder in folders)

    def _identified(self) -> Iterator[tuple[FileLocation, bytes]]:
        """Yield the location and the unique-id of each message, in the maildrop's order."""
        folders = list(self._folders.values())
        # Both folders are listed before any file's status is read: a file that moves from `new` to `cur`
        # meanwhile is missed in `new`, and that causes another attempt.
        names = [folder.names() for folder in folders]
        in_last = frozenset(names[-1]) if len(folders) > 1 else frozenset()
        noted = self._noted = read_noted(folders)
        everything = list(chain.from_iterable(names))
        shared = _shared_parts(everything)
        decided: dict[tuple[bytes, bytes], tuple[FileLocation, bytes]] = {}
        if noted.own or shared:
            pairs = [(folder, name) for folder, found in zip(folders, names, strict=True) for name in found]
            pairs = [(folder, name) for folder, name in pairs if noted.own or unique_part(name) in shared]
            decided = self._decided(folders, pairs)
        names.clear()
        for name in giving_way(in_order(everything)):
            part = unique_part(name)
            if noted.own or part in shared:
                # A name that is in both folders comes twice; the second time nothing is left.
                both = [decided.pop((folder.name, name), None) for folder in folders]
                yield from filter(None, both)
            elif (location := self._located(folders[-1 if name in in_last else 0], name)) is not None:
                yield location, noted.plain_id(part)

    def _decided(
        self, folders: Sequence[Folder], names: Iterable[tuple[Folder, bytes]]
    ) -> dict[tuple[bytes, bytes], tuple[FileLocation, bytes]]:
        """Return the locations and unique-ids of messages whose names may share a unique part."""
        locations = [self._located(folder, name) for folder, name in giving_way(names)]
        found = [location for location in locations if location is not None]
        identified, own = with_unique_ids(found, self._noted, self._had_plain_id)
        if not own <= self._noted.own:
            note_own(folders, self._noted, sorted(own - self._noted.own))
        return {(location.folder, location.name): (location, unique_id) for location, unique_id in identified}

    def _located(self, folder: Folder, name: bytes) -> FileLocation | None:
        try:
            status = folder.status(name)
        except OSError as error:
            if error.errno not in ABSENT_ERRORS:
                raise
            self.was_disturbed = True
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return FileLocation(folder.name, name, FileIdentity.of(status))

    def _known_index(self, location: FileLocation) -> int | None:
        """Return the index that the message had in the earlier scan, None when it is new or has changed."""
        index = self._known_indexes.get(location.identity.inode)
        if index is None or not self._known.has_unchanged(index, location.identity):
            return None
        # The name as well: inodes are used again, and two messages of one size can follow each other on an
        # inode within one tick of the clock.
        return index if unique_part(self._known.names[index]) == unique_part(location.name) else None

    def _had_plain_id(self, location: FileLocation) -> bool:
        index = self._known_index(location)
        plain_id = self._noted.plain_id(unique_part(location.name))
        return index is not None and self._known.unique_ids[index] == plain_id

    def _octets(self, location: FileLocation) -> _Octets | None:
        index = self._known_index(location)
        return self._known.octets_of(index) if index is not None else self._count(location)

    def _count(self, location: FileLocation) -> _Octets | None:
        try:
            counted = self._octets_of(location)
        except OSError as error:
            if error.errno in ABSENT_ERRORS:
                self.was_disturbed = True
                return None
            if error.errno not in _ERRORS_OF_ONE_FILE:
                raise
            self._left_out += 1
            return None
        if counted is None:
            self._left_out += 1
            self.was_disturbed = True
        return counted

    def _octets_of(self, location: FileLocation) -> _Octets | None:
        descriptor = self._folders[location.folder].open(location.name)
        try:
            return counted_octets(descriptor, location.identity)
        finally:
            os.close(descriptor)


def maildrop_order(name: bytes) -> tuple[int, bytes]:
    """Return the sort key of a file: the number that its name begins with (or 0), then the name."""
    timestamp = _TIMESTAMP.match(name)
    return (int(timestamp[0]) if timestamp else 0, name)


def in_copied_order(messages: ListedMessages, noted: NotedUniqueIds) -> ListedMessages:
    """Return these messages: first those of the old server in its order, then the others as they are."""
    if not noted.copied:
        return messages
    indexes: dict[bytes, int] = {}
    for index, (name, unique_id) in enumerate(zip(messages.names, messages.unique_ids, strict=True)):
        part = unique_part(name)
        if part in noted.copied and unique_id == noted.plain_id(part):
            indexes[part] = index
    first = [indexes[part] for part in noted.copied if part in indexes]
    placed = frozenset(first)
    return messages.picked([*first, *(index for index in range(len(messages)) if index not in placed)])


def in_order(names: list[bytes]) -> Iterator[bytes]:
    """Yield these names in the maildrop's order; empties the list."""
    # One sort would keep all other threads from running: 80 ms for 50,000 messages on a slow machine. So the
    # names are first dealt to buckets, with bounds from a sample, and each bucket is sorted by itself.
    sample = sorted(map(maildrop_order, names[:: len(names) // SORTED_AT_ONCE + 1]))
    bounds = sample[:: len(sample) * SORTED_AT_ONCE // (2 * len(names) + 1) + 1]
    buckets: list[list[bytes]] = [[] for _ in range(len(bounds) + 1)]
    for name in names:
        buckets[bisect(bounds, maildrop_order(name))].append(name)
    names.clear()
    for bucket in buckets:
        bucket.sort(key=maildrop_order)
        yield from bucket
        bucket.clear()


def _shared_parts(names: Sequence[bytes]) -> set[bytes]:
    """Return the unique parts that several of these names have; nearly all maildirs have none."""
    if len(set(map(unique_part, names))) == len(names):
        return set()
    counts = Counter(map(unique_part, names))
    return {part for part, count in counts.items() if count > 1}
