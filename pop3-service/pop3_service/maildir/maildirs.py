"""The maildirs of one process, and what it remembers of them."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from threading import Lock

from pop3_service.maildir.errors import MaildirUnreadable
from pop3_service.maildir.folder import FOLDERS, Folder, FolderStamp
from pop3_service.maildir.listed import FileFacts, ListedMessages
from pop3_service.maildir.mail_directory import MaildirPath
from pop3_service.maildir.maildir import HeldOpen, Maildir, MaildirIdentity
from pop3_service.maildir.scan import scan_maildir
from pop3_service.protocol.maildrop import MaildropContents

# Two deliveries within one tick of the file server's clock leave the folder with one mtime. No
# file system in use has a coarser mtime than 2 s, and only our own monotonic clock is asked,
# since the file server's may be set differently.
GRAIN_SECONDS = 2.0

# About 1.5 us a file, so at most a third of a millisecond of the event loop.
MESSAGES_CHECKED_ON_THE_LOOP = 200

QUICK_SECONDS = 0.05
"""What took longer than this to be looked at is looked at in a thread the next time: its disk is slow."""

_RENDERED_LISTINGS = attrgetter("drop_listing", "scan_listing", "unique_id_listing")

# Bounds the memory: a remembered message takes about 250 octets, its part of the listings
# included, and of a small maildrop 600, so a process never spends more than about 300 MB on this.
REMEMBERED_MESSAGES = 500_000


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A scan that was made, with what decides how long it may stand for the maildir."""

    contents: MaildropContents
    stamps: tuple[FolderStamp | None, ...]
    messages: ListedMessages
    selectors: tuple[bytes, ...]
    """What finds the messages of each of FOLDERS among these."""
    left_out: int
    stamps_first_seen: float
    scan_began: float
    identity: MaildirIdentity | None
    lock_name: str
    is_quick: bool
    """Whether it lies on a disk of this machine, which was quick when it was last asked."""

    @property
    def weight(self) -> int:
        return 1 + len(self.messages)

    def still_holds(self, maildir: Maildir) -> bool:
        """Tell whether a scan made now would surely find the same."""
        # A file that could not be read may be readable now, and no mtime of a folder says so.
        if self.left_out or self.scan_began - self.stamps_first_seen < GRAIN_SECONDS:
            return False
        try:
            for name, stamp, selector in zip(FOLDERS, self.stamps, self.selectors, strict=True):
                if not _is_as_it_was(maildir, name, stamp, self.messages.files(selector)):
                    return False
        except (OSError, MaildirUnreadable):
            return False
        return True


def _is_as_it_was(
    maildir: Maildir, name: bytes, stamp: FolderStamp | None, files: Iterable[FileFacts]
) -> bool:
    # The folder is opened, although it takes two calls of the system more: the kernel then need not look up
    # a whole path for every message.
    try:
        folder = Folder(maildir, name)
    except FileNotFoundError:
        return stamp is None
    with folder:
        return folder.stamp() == stamp and folder.holds_all_unchanged(files)


def _contents_of(
    messages: ListedMessages, previous: _Remembered | None
) -> tuple[ListedMessages, MaildropContents]:
    # The same objects where nothing changed: they are in memory once, and the listings are rendered already.
    if previous is not None and previous.messages == messages:
        return previous.messages, previous.contents
    # Of few messages objects are kept: most of them will be asked for again and again.
    kept = messages if len(messages) > MESSAGES_CHECKED_ON_THE_LOOP else tuple(messages)
    return messages, MaildropContents(kept, messages.octets, messages.unique_ids)


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
        roots: Sequence[str] = (),
    ) -> None:
        self._clock = clock
        self._limit = remembered_messages
        self._roots = [os.fsencode(root) for root in roots]
        self._held_open = HeldOpen()
        self._lock = Lock()
        self._entries: OrderedDict[MaildirPath, _Remembered] = OrderedDict()
        self._weight = 0

    def at(self, path: MaildirPath) -> Maildir:
        """Return the maildir at `path` for one session, which has to close it; it need not exist."""
        return Maildir(path, self._held_open, self._roots)

    def lock_name(self, path: MaildirPath) -> str:
        """Return what was last to be locked for a session in the maildir at `path`; empty when not known.

        It may be another maildir's by now: what counts is the `lock_name` of the maildir once it is open.
        """
        entry = self._entry(path)
        return entry.lock_name if entry is not None else ""

    def lane(self, maildir: Maildir) -> int | None:
        """Return on which device `maildir` lies, or lay when it was last scanned; None when not known."""
        entry = self._entry(maildir.path)
        identity = maildir.identity or (entry.identity if entry is not None else None)
        return identity[0] if identity is not None else None

    def remembered(self, maildir: Maildir) -> MaildropContents | None:
        """Open `maildir` and return its contents where they are surely known, without waiting for a disk.

        Cheap enough for the event loop: three folders opened, and a stat for each of at most 200 messages,
        which a local disk's were in memory when they were last asked for. None means that `scan` must be
        called, in a thread.
        """
        entry = self._entry(maildir.path)
        if entry is None or not entry.is_quick or len(entry.messages) > MESSAGES_CHECKED_ON_THE_LOOP:
            return None
        if entry.identity is None or not maildir.open_if_cached(entry.identity, entry.lock_name):
            return None
        # What was looked at first the last time would be the first to be out of memory again.
        if entry.messages and not maildir.has_cached(entry.messages.path(0)):
            return None
        return entry.contents if self._still_holds(entry, maildir) else None

    def scan(self, maildir: Maildir) -> MaildropContents:
        """Return the contents of `maildir` as they are now, and remember them; blocks on the disk.

        A scan that finds nothing new returns the same object as the one before.
        Raises MaildirUnreadable when the maildir cannot be listed.
        """
        previous = self._entry(maildir.path)
        if previous is not None and self._still_holds(previous, maildir):
            return previous.contents
        began = self._clock()
        scan = scan_maildir(maildir, previous.messages if previous is not None else None)
        # The stamps were seen at some moment of this scan: its end is the careful choice.
        first_seen = self._clock()
        if previous is not None and previous.stamps == scan.stamps:
            first_seen = previous.stamps_first_seen
        messages, contents = _contents_of(scan.messages, previous)
        if len(contents.messages) > MESSAGES_CHECKED_ON_THE_LOOP:
            # Here, in a thread: 50,000 lines would keep the event loop for 15 to 25 ms a listing.
            _RENDERED_LISTINGS(contents)
        entry = _Remembered(
            contents,
            scan.stamps,
            messages,
            messages.selectors(),
            scan.left_out,
            first_seen,
            began,
            maildir.identity,
            maildir.lock_name,
            is_quick=maildir.is_local,
        )
        self._remember(maildir.path, entry)
        return contents

    def unreadable_messages(self, maildir: Maildir) -> int:
        """Return how many message files the last scan had to leave out, for a line in the log."""
        entry = self._entry(maildir.path)
        return entry.left_out if entry is not None else 0

    def _still_holds(self, entry: _Remembered, maildir: Maildir) -> bool:
        began = time.perf_counter()
        still_holds = entry.still_holds(maildir) and maildir.identity == entry.identity
        is_quick = maildir.is_local and time.perf_counter() - began < QUICK_SECONDS
        if still_holds and is_quick != entry.is_quick:
            self._remember(maildir.path, replace(entry, is_quick=is_quick))
        return still_holds

    def _entry(self, path: MaildirPath) -> _Remembered | None:
        with self._lock:
            entry = self._entries.get(path)
            if entry is not None:
                self._entries.move_to_end(path)
            return entry

    def _remember(self, path: MaildirPath, entry: _Remembered) -> None:
        with self._lock:
            latest = self._entries.get(path)
            # Two threads may scan the same maildir: what began later knows more.
            if latest is not None and latest.scan_began > entry.scan_began:
                return
            self._forget(path)
            self._entries[path] = entry
            self._weight += entry.weight
            while self._weight > self._limit:
                self._forget(next(iter(self._entries)))

    def _forget(self, path: MaildirPath) -> None:
        entry = self._entries.pop(path, None)
        if entry is not None:
            self._weight -= entry.weight
