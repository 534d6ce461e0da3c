"""Scan a maildir: which messages it holds, in which order, with which octets and unique-ids."""

import errno
import os
import stat
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain

from pop3_service.maildir.errors import MaildirUnreadable
from pop3_service.maildir.folder import ABSENT_ERRORS, FOLDERS, Folder, FolderStamp, open_folders
from pop3_service.maildir.listed import ListedMessages
from pop3_service.maildir.locator import FileIdentity, Locator, locator_of
from pop3_service.maildir.maildir import Maildir
from pop3_service.maildir.namesakes import note_unique_ids, noted_unique_ids
from pop3_service.maildir.naming import (
    maildrop_order,
    unique_id_of,
    unique_id_of_namesake,
    unique_part,
)
from pop3_service.maildir.octets import counted_octets

# A listing that a rename runs into can miss the file under both its names. So a scan that was
# disturbed begins again; a maildir that is never quiet must not hold up a login for ever.
SCAN_ATTEMPTS = 3

SORTED_AT_ONCE = 4000

# These say something about one file, and for long. Any other failure (no descriptors left, a file server
# in trouble) would leave out message after message, which a client takes for deletions: it fails the scan.
_ERRORS_OF_ONE_FILE = frozenset({errno.EACCES, errno.EPERM})

# The octets on the wire of a message, and whether it is plain.
_Octets = tuple[int, bool]


@dataclass(frozen=True, slots=True)
class MaildirScan:
    """What one scan found.

    `stamps` are those of FOLDERS from before the listing began (None: no such folder).
    `left_out` counts the message files that cannot be read or that somebody is writing to.
    """

    stamps: tuple[FolderStamp | None, ...]
    messages: ListedMessages
    left_out: int


def scan_maildir(maildir: Maildir, known: ListedMessages | None = None) -> MaildirScan:
    """Return the messages of `maildir` in the maildrop's order; blocks on the disk.

    Octets are taken from `known`, an earlier scan, for every file that has not changed since;
    the other files are read. A missing maildir, `new` or `cur` holds no messages. Only regular
    files whose names begin with no dot are messages, and nothing else is ever opened.

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
            known = scan.messages  # of these the octets are counted
        except OSError as error:
            # A file server that has forgotten a handle (ESTALE) may know the name.
            if error.errno != errno.ESTALE or not attempts_left:
                raise MaildirUnreadable.caused_by("the maildir cannot be listed", error) from None
            maildir.let_go()


class _Attempt:
    """One pass over the open folders; `was_disturbed` says that mail was moving meanwhile."""

    def __init__(self, folders: Sequence[Folder], known: ListedMessages) -> None:
        self._folders = {folder.name: folder for folder in folders}
        self._known = known
        self._known_places = known.places_by_inode()
        self._left_out = 0
        self.was_disturbed = False

    def scan(self) -> MaildirScan:
        stamps = self._stamps()
        messages = ListedMessages()
        for locator, unique_id in self._identified():
            counted = self._octets(locator)
            if counted is not None:
                octets, is_plain = counted
                messages.append(locator, unique_id, octets, is_plain=is_plain)
        if self._stamps() != stamps:
            self.was_disturbed = True
        return MaildirScan(stamps, messages, self._left_out)

    def _stamps(self) -> tuple[FolderStamp | None, ...]:
        folders = map(self._folders.get, FOLDERS)
        return tuple(folder.stamp() if folder else None for folder in folders)

    def _identified(self) -> Iterator[tuple[Locator, bytes]]:
        """Yield one locator for each message with its unique-id, in the maildrop's order."""
        folders = list(self._folders.values())
        # Both folders are listed before any file is looked at: what moves from `new` to `cur`
        # in between is then missed in `new`, and the miss starts another attempt.
        names = [folder.names() for folder in folders]
        in_last = frozenset(names[-1]) if len(folders) > 1 else frozenset()
        noted = noted_unique_ids(folders)
        everything = list(chain.from_iterable(names))
        shared = _shared_parts(everything)
        decided: dict[tuple[bytes, bytes], tuple[Locator, bytes]] = {}
        if noted or shared:
            pairs = [(folder, name) for folder, found in zip(folders, names, strict=True) for name in found]
            pairs = [(folder, name) for folder, name in pairs if noted or unique_part(name) in shared]
            decided = self._decided(folders, pairs, noted)
        names.clear()
        for name in in_order(everything):
            part = unique_part(name)
            if noted or part in shared:
                # A name that is in both folders comes twice: what is found then has been yielded.
                places = [decided.pop((folder.name, name), None) for folder in folders]
                yield from filter(None, places)
            elif (locator := self._locator(folders[-1 if name in in_last else 0], name)) is not None:
                yield locator, unique_id_of(part)

    def _decided(
        self, folders: Sequence[Folder], names: Iterable[tuple[Folder, bytes]], noted: frozenset[bytes]
    ) -> dict[tuple[bytes, bytes], tuple[Locator, bytes]]:
        """Return the locators of messages whose names may share a unique part, with their unique-ids."""
        locators = [self._locator(folder, name) for folder, name in names]
        found = [locator for locator in locators if locator is not None]
        identified, own = with_unique_ids(found, noted, self._had_plain_id)
        if not own <= noted:
            note_unique_ids(folders, sorted(own - noted))
        return {(locator.folder, locator.name): (locator, unique_id) for locator, unique_id in identified}

    def _locator(self, folder: Folder, name: bytes) -> Locator | None:
        try:
            status = folder.status(name)
        except OSError as error:
            if error.errno not in ABSENT_ERRORS:
                raise
            self.was_disturbed = True
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return Locator(folder.name, name, FileIdentity.of(status))

    def _had_plain_id(self, locator: Locator) -> bool:
        place = self._known_places.get(locator.identity.inode)
        if place is None:
            return False
        known = self._known[place]
        return known.unique_id == unique_id_of(unique_part(locator.name)) and _is_same_message(
            locator_of(known), locator
        )

    def _octets(self, locator: Locator) -> _Octets | None:
        place = self._known_places.get(locator.identity.inode)
        if place is not None:
            known = self._known[place]
            if _is_same_message(locator_of(known), locator):
                return known.octets, known.is_plain
        return self._count(locator)

    def _count(self, locator: Locator) -> _Octets | None:
        try:
            counted = self._octets_of(locator)
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

    def _octets_of(self, locator: Locator) -> _Octets | None:
        descriptor = self._folders[locator.folder].open(locator.name)
        try:
            return counted_octets(descriptor, locator.identity)
        finally:
            os.close(descriptor)


def with_unique_ids(
    locators: Sequence[Locator],
    noted: AbstractSet[bytes] = frozenset(),
    had_plain_id: Callable[[Locator], bool] = lambda _: False,
) -> tuple[list[tuple[Locator, bytes]], set[bytes]]:
    """Return one locator for each message with its unique-id, in any order.

    Two names of one file with the same unique part are one message: for a moment it can be in
    `new` and `cur`. Two files with the same unique part are two messages: the one that had the plain
    unique-id, else the older (by mtime, then by inode), has it, and the other one of its own, for good. The
    set is of these own ones; `noted` are those of earlier scans.
    """
    by_part: defaultdict[bytes, list[Locator]] = defaultdict(list)
    for locator in locators:
        by_part[unique_part(locator.name)].append(locator)
    identified, own = [], set()
    for part, namesakes in by_part.items():
        if len(namesakes) == 1 and not noted:
            identified.append((namesakes[0], unique_id_of(part)))
            continue
        free = []
        for locator in _one_for_each_file(namesakes):
            own_id = unique_id_of_namesake(part, locator.identity.inode)
            if own_id in noted:
                identified.append((locator, own_id))
                own.add(own_id)
            else:
                free.append((locator, own_id))
        free.sort(key=lambda each: not had_plain_id(each[0]))  # else in their order
        identified += [(locator, unique_id_of(part)) for locator, _ in free[:1]]
        identified += free[1:]
        own.update(own_id for _, own_id in free[1:])
    return identified, own


def in_order(names: list[bytes]) -> Iterator[bytes]:
    """Yield these as the maildrop has them, in short runs, so that other threads come in between."""
    # A sort keeps it to itself from its first comparison to the last: 80 ms for 50,000 messages on a slow
    # machine. So they are dealt to buckets first, whose bounds are those of a sample.
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
    """Return the unique parts that several of these names have; in nearly all maildirs there is none."""
    if len(set(map(unique_part, names))) == len(names):
        return set()
    counts = Counter(map(unique_part, names))
    return {part for part, count in counts.items() if count > 1}


def _one_for_each_file(namesakes: Iterable[Locator]) -> list[Locator]:
    files: dict[tuple[int, int], Locator] = {}
    # The name in `cur` is the one that stays when a program moves mail by link and unlink.
    for locator in sorted(namesakes, key=lambda each: (each.folder != b"cur", each.name)):
        files.setdefault((locator.identity.device, locator.identity.inode), locator)
    return sorted(files.values(), key=lambda each: (each.identity.mtime_ns, each.identity.inode))


def _is_same_message(known: Locator, found: Locator) -> bool:
    # The name as well: an inode is used again, and two mails of the same size can follow each
    # other on it within one tick of the clock.
    return known.identity == found.identity and unique_part(known.name) == unique_part(found.name)
