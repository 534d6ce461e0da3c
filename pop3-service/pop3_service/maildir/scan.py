"""Scan a maildir: which messages it holds, in which order, with which octets and unique-ids."""

import errno
import heapq
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from operator import itemgetter

from pop3_service.maildir.errors import MaildirUnreadable
from pop3_service.maildir.folder import ABSENT_ERRORS, FOLDERS, Folder, FolderStamp, open_folders
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
from pop3_service.protocol.maildrop import Message

# A listing that a rename runs into can miss the file under both its names. So a scan that was
# disturbed begins again; a maildir that is never quiet must not hold up a login for ever.
SCAN_ATTEMPTS = 3

SORTED_AT_ONCE = 4000
_FIRST = itemgetter(0)

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
    messages: tuple[Message, ...]
    left_out: int


def scan_maildir(maildir: Maildir, known: Iterable[Message] = ()) -> MaildirScan:
    """Return the messages of `maildir` in the maildrop's order; blocks on the disk.

    Octets are taken from `known`, an earlier scan, for every file that has not changed since;
    the other files are read. A missing maildir, `new` or `cur` holds no messages. Only regular
    files whose names begin with no dot are messages, and nothing else is ever opened.

    Raises MaildirUnreadable when the maildir cannot be listed.
    """
    known_by_inode = {locator_of(message).identity.inode: message for message in known}
    attempts_left = SCAN_ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            with open_folders(maildir) as folders:
                attempt = _Attempt(folders, known_by_inode)
                scan = attempt.scan()
            if not attempt.was_disturbed or not attempts_left:
                return scan
        except OSError as error:
            # A file server that has forgotten a handle (ESTALE) may know the name.
            if error.errno != errno.ESTALE or not attempts_left:
                raise MaildirUnreadable.caused_by("the maildir cannot be listed", error) from None
            maildir.let_go()


class _Attempt:
    """One pass over the open folders; `was_disturbed` says that mail was moving meanwhile."""

    def __init__(self, folders: Sequence[Folder], known: dict[int, Message]) -> None:
        self._folders = {folder.name: folder for folder in folders}
        self._known = known
        self._left_out = 0
        self.was_disturbed = False

    def scan(self) -> MaildirScan:
        stamps = self._stamps()
        identified = self._identified()
        counted = (self._message(locator, unique_id) for locator, unique_id in identified)
        messages = tuple(message for message in counted if message is not None)
        if self._stamps() != stamps:
            self.was_disturbed = True
        return MaildirScan(stamps, messages, self._left_out)

    def _stamps(self) -> tuple[FolderStamp | None, ...]:
        folders = map(self._folders.get, FOLDERS)
        return tuple(folder.stamp() if folder else None for folder in folders)

    def _locators(self) -> Iterator[Locator]:
        # Both folders are listed before any file is looked at: what moves from `new` to `cur`
        # in between is then missed in `new`, and the miss starts another attempt.
        listings = [(folder, folder.names()) for folder in self._folders.values()]
        for folder, names in listings:
            for name in names:
                locator = self._locator(folder, name)
                if locator is not None:
                    yield locator

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
        known = self._known.get(status.st_ino)
        if known is not None:
            locator = locator_of(known)
            is_at_its_place = locator.name == name and locator.folder == folder.name
            if is_at_its_place and locator.identity.is_unchanged(status):
                return locator
        return Locator(folder.name, name, FileIdentity.of(status))

    def _identified(self) -> list[tuple[Locator, bytes]]:
        folders = list(self._folders.values())
        noted = noted_unique_ids(folders)
        identified, own = with_unique_ids(list(self._locators()), noted, self._had_plain_id)
        if not own <= noted:
            note_unique_ids(folders, sorted(own - noted))
        return identified

    def _had_plain_id(self, locator: Locator) -> bool:
        known = self._known.get(locator.identity.inode)
        return (
            known is not None
            and known.unique_id == unique_id_of(unique_part(locator.name))
            and _is_same_message(locator_of(known), locator)
        )

    def _message(self, locator: Locator, unique_id: bytes) -> Message | None:
        known = self._known.get(locator.identity.inode)
        if known is not None and known.locator is locator and known.unique_id == unique_id:
            return known
        if known is not None and _is_same_message(locator_of(known), locator):
            counted: _Octets | None = known.octets, known.is_plain
        else:
            counted = self._count(locator)
        if counted is None:
            return None
        octets, plain = counted
        message = Message(unique_id, octets, locator, is_plain=plain)
        self._known[locator.identity.inode] = message
        return message

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
    """Return one locator for each message with its unique-id, in the maildrop's order.

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
    return _in_order(identified), own


def _in_order(identified: list[tuple[Locator, bytes]]) -> list[tuple[Locator, bytes]]:
    # A sort keeps the interpreter to itself from its first comparison to the last: 80 ms for 50,000
    # messages on a slow machine. So only short runs are sorted, and merged in steps that can be interrupted.
    keyed = [(maildrop_order(pair[0].name), pair) for pair in identified]
    runs = [
        sorted(keyed[start : start + SORTED_AT_ONCE], key=_FIRST)
        for start in range(0, len(keyed), SORTED_AT_ONCE)
    ]
    return [pair for _, pair in heapq.merge(*runs, key=_FIRST)]


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
