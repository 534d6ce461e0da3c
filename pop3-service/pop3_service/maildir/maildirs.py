"""The maildirs of one process, and what it remembers of them."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from threading import Lock

from pop3_service.maildir.folder import FOLDERS, Folder, FolderStamp
from pop3_service.maildir.locator import Locator, locator_of
from pop3_service.maildir.scan import MaildirScan, scan_maildir
from pop3_service.protocol.maildrop import MaildropContents

# Two deliveries within one tick of the file server's clock leave the folder with one mtime. No
# file system in use has a coarser mtime than 2 s, and only our own monotonic clock is asked,
# since the file server's may be set differently.
GRAIN_SECONDS = 2.0

# About 1.5 us a file, so at most a third of a millisecond of the event loop.
MESSAGES_CHECKED_ON_THE_LOOP = 200

_RENDERED_LISTINGS = attrgetter("drop_listing", "scan_listing", "unique_id_listing")

# Bounds the memory: a remembered message takes about 600 octets, its part of the listings
# included, so a process never spends more than about 300 MB on this.
REMEMBERED_MESSAGES = 500_000


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A scan that was made, with what decides how long it may stand for the maildir."""

    contents: MaildropContents
    stamps: tuple[FolderStamp | None, ...]
    locators: tuple[tuple[Locator, ...], ...]
    """Of the messages in each of FOLDERS."""
    left_out: int
    stamps_first_seen: float
    scan_began: float

    @property
    def weight(self) -> int:
        return 1 + len(self.contents.messages)

    def still_holds(self, maildir: bytes) -> bool:
        """Tell whether a scan made now would surely find the same."""
        # A file that could not be read may be readable now, and no mtime of a folder says so.
        if self.left_out or self.scan_began - self.stamps_first_seen < GRAIN_SECONDS:
            return False
        try:
            for name, stamp, locators in zip(FOLDERS, self.stamps, self.locators, strict=True):
                if not _is_as_it_was(maildir, name, stamp, locators):
                    return False
        except OSError:
            return False
        return True


def _is_as_it_was(
    maildir: bytes, name: bytes, stamp: FolderStamp | None, locators: tuple[Locator, ...]
) -> bool:
    # The folder is opened, although it takes two calls of the system more: the kernel then need not look up
    # a whole path for every message.
    try:
        folder = Folder(maildir, name)
    except FileNotFoundError:
        return stamp is None
    with folder:
        return folder.stamp() == stamp and folder.holds_all_unchanged(locators)


def _by_folder(contents: MaildropContents) -> tuple[tuple[Locator, ...], ...]:
    locators = tuple(map(locator_of, contents.messages))
    return tuple(tuple(each for each in locators if each.folder == name) for name in FOLDERS)


def _contents_of(scan: MaildirScan, previous: _Remembered | None) -> MaildropContents:
    # The same object where nothing changed: its listings are rendered already.
    if previous is not None and previous.contents.messages == scan.messages:
        return previous.contents
    return MaildropContents(scan.messages)


class Maildirs:
    """Scans maildirs and remembers what it found, for all sessions of one process.

    A remembered listing never hides mail: it is trusted only if its scan began GRAIN_SECONDS
    after this process first saw the folders with the very mtimes that they still have. By then
    the file server's clock has left the tick of those mtimes, so that whatever came after the
    scan has given the folders newer ones.

    `clock` is monotonic and in seconds. All methods may be called from any thread.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        remembered_messages: int = REMEMBERED_MESSAGES,
    ) -> None:
        self._clock = clock
        self._limit = remembered_messages
        self._lock = Lock()
        self._entries: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._weight = 0

    def remembered(self, maildir: bytes) -> MaildropContents | None:
        """Return the contents of `maildir` where they are surely known, without reading it.

        Cheap enough for the event loop: two folders opened, and a stat for each of at most 200 messages.
        None means that `scan` must be called, in a thread.
        """
        entry = self._entry(maildir)
        if entry is None or len(entry.contents.messages) > MESSAGES_CHECKED_ON_THE_LOOP:
            return None
        return entry.contents if entry.still_holds(maildir) else None

    def scan(self, maildir: bytes) -> MaildropContents:
        """Return the contents of `maildir` as they are now, and remember them; blocks on the disk.

        A scan that finds nothing new returns the same object as the one before.
        Raises MaildirUnreadable when the maildir cannot be listed.
        """
        previous = self._entry(maildir)
        if previous is not None and previous.still_holds(maildir):
            return previous.contents
        began = self._clock()
        scan = scan_maildir(maildir, previous.contents.messages if previous is not None else ())
        # The stamps were seen at some moment of this scan: its end is the careful choice.
        first_seen = self._clock()
        if previous is not None and previous.stamps == scan.stamps:
            first_seen = previous.stamps_first_seen
        contents = _contents_of(scan, previous)
        if len(contents.messages) > MESSAGES_CHECKED_ON_THE_LOOP:
            # Here, in a thread: 50,000 lines would keep the event loop for 15 to 25 ms a listing.
            _RENDERED_LISTINGS(contents)
        entry = _Remembered(contents, scan.stamps, _by_folder(contents), scan.left_out, first_seen, began)
        self._remember(maildir, entry)
        return contents

    def unreadable_messages(self, maildir: bytes) -> int:
        """Return how many message files the last scan had to leave out, for a line in the log."""
        entry = self._entry(maildir)
        return entry.left_out if entry is not None else 0

    def _entry(self, maildir: bytes) -> _Remembered | None:
        with self._lock:
            entry = self._entries.get(maildir)
            if entry is not None:
                self._entries.move_to_end(maildir)
            return entry

    def _remember(self, maildir: bytes, entry: _Remembered) -> None:
        with self._lock:
            latest = self._entries.get(maildir)
            # Two threads may scan the same maildir: what began later knows more.
            if latest is not None and latest.scan_began > entry.scan_began:
                return
            self._forget(maildir)
            self._entries[maildir] = entry
            self._weight += entry.weight
            while self._weight > self._limit:
                self._forget(next(iter(self._entries)))

    def _forget(self, maildir: bytes) -> None:
        entry = self._entries.pop(maildir, None)
        if entry is not None:
            self._weight -= entry.weight
