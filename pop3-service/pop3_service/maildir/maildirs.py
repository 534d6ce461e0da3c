"""The maildirs of one process, and what it remembers of them."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from threading import Lock

from pop3_service.maildir.errors import MaildirUnreadable
from pop3_service.maildir.file_location import FileIdentity
from pop3_service.maildir.folder import FOLDERS, Folder, FolderStamp
from pop3_service.maildir.listed import FileFacts, ListedMessages
from pop3_service.maildir.mail_directory import MaildirPath
from pop3_service.maildir.maildir import HeldOpen, Maildir, MaildirIdentity
from pop3_service.maildir.noted import noted_status
from pop3_service.maildir.scan import scan_maildir
from pop3_service.protocol.maildrop import MaildropContents

# Two deliveries within one tick of the file server's clock leave the folder with one mtime. No file system
# in use has ticks of more than 2 s. They are measured with our own monotonic clock: the file server's may
# differ.
GRAIN_SECONDS = 2.0

# About 1.5 us a file, so at most a third of a millisecond of the event loop.
MESSAGES_CHECKED_ON_THE_LOOP = 200

QUICK_SECONDS = 0.05
"""A maildir whose status took longer to read has a slow disk: it is read in a thread the next time."""

_RENDERED_LISTINGS = attrgetter("drop_listing", "scan_listing", "unique_id_listing")

REMEMBERED_MESSAGES = 500_000
"""Messages that a process remembers. Each takes about 250 octets with its part of the listings, and 600 in a
small maildrop: at most about 300 MB."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """An earlier scan of a maildir, and what shows whether it is still valid."""

    contents: MaildropContents
    stamps: tuple[FolderStamp | None, ...]
    messages: ListedMessages
    selectors: tuple[bytes, ...]
    """For each of FOLDERS, the argument of `messages.files`."""
    left_out: int
    noted: FileIdentity | None
    """The file with the old server's unique-ids; None in most maildirs."""
    damage: str
    """What of it could not be used."""
    stamps_first_seen: float
    scan_began: float
    identity: MaildirIdentity | None
    lock_name: str
    is_quick: bool
    """Whether it is on a disk of this machine that was fast the last time, and nothing has to be logged."""

    @property
    def weight(self) -> int:
        return 1 + len(self.messages)

    def still_holds(self, maildir: Maildir) -> bool:
        """Return whether a scan would certainly find the same now; may block on the disk."""
        # A file that could not be read may be readable now, without a change of a folder's mtime.
        if self.left_out or self.scan_began - self.stamps_first_seen < GRAIN_SECONDS:
            return False
        try:
            for name, stamp, selector in zip(FOLDERS, self.stamps, self.selectors, strict=True):
                if not _is_as_it_was(maildir, name, stamp, self.messages.files(selector)):
                    return False
            return self.noted is None or self.noted.is_unchanged(noted_status(maildir))
        except (OSError, MaildirUnreadable):
            return False


def _is_as_it_was(
    maildir: Maildir, name: bytes, stamp: FolderStamp | None, files: Iterable[FileFacts]
) -> bool:
    # Opening the folder takes two more system calls, but then the kernel need not look up a whole path for
    # every message.
    try:
        folder = Folder(maildir, name)
    except FileNotFoundError:
        return stamp is None
    with folder:
        return folder.stamp() == stamp and folder.holds_all_unchanged(files)


def _contents_of(
    messages: ListedMessages, previous: _Remembered | None
) -> tuple[ListedMessages, MaildropContents]:
    # The same objects if nothing has changed: they are in memory once, and their listings are rendered.
    if previous is not None and previous.messages == messages:
        return previous.messages, previous.contents
    # A small maildrop keeps objects: most of its messages are read again and again.
    kept = messages if len(messages) > MESSAGES_CHECKED_ON_THE_LOOP else tuple(messages)
    return messages, MaildropContents(kept, messages.octets, messages.unique_ids)


class Maildirs:
    """Scans maildirs and remembers what it found, for all sessions of one process.

    A remembered listing never hides mail. It is used only if its scan began GRAIN_SECONDS after this process
    first saw the folders with the mtimes that they still have. By then the file server's clock had left the
    tick of those mtimes, so every later delivery gives the folders newer ones.

    `clock` is monotonic, in seconds. At most `remembered_messages` are remembered. Links may lead to `roots`.
    All methods may be called from any thread.
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
        """Return the maildir at `path` for one session, which must close it; it need not exist."""
        return Maildir(path, self._held_open, self._roots)

    def lock_name(self, path: MaildirPath) -> str:
        """Return the lock name of the maildir that was last seen at `path`, empty when none was.

        Another maildir may be there by now: the `lock_name` of the opened maildir counts.
        """
        entry = self._entry(path)
        return entry.lock_name if entry is not None else ""

    def lane(self, maildir: Maildir) -> int | None:
        """Return the device of `maildir`, from its last scan unless it has been opened; None when unknown."""
        entry = self._entry(maildir.path)
        identity = maildir.identity or (entry.identity if entry is not None else None)
        return identity[0] if identity is not None else None

    def remembered(self, maildir: Maildir) -> MaildropContents | None:
        """Open `maildir` and return its contents if they are certainly known, without blocking on a disk.

        For the event loop: it opens three folders and reads the status of at most
        MESSAGES_CHECKED_ON_THE_LOOP files, which the kernel had in memory the last time. On None call `scan`
        in a thread.
        """
        entry = self._entry(maildir.path)
        if entry is None or not entry.is_quick or len(entry.messages) > MESSAGES_CHECKED_ON_THE_LOOP:
            return None
        if entry.identity is None or not maildir.open_if_cached(entry.identity, entry.lock_name):
            return None
        # The file whose status was read first is the first one that the kernel drops from memory.
        if entry.messages and not maildir.has_cached(entry.messages.path(0)):
            return None
        return entry.contents if self._still_holds(entry, maildir) else None

    def scan(self, maildir: Maildir) -> MaildropContents:
        """Return the contents of `maildir` as they are now, and remember them; blocks on the disk.

        A scan that finds nothing new returns the same object as the last one. Raises MaildirUnreadable when
        the maildir cannot be listed.
        """
        previous = self._entry(maildir.path)
        if previous is not None and self._still_holds(previous, maildir):
            return previous.contents
        began = self._clock()
        scan = scan_maildir(maildir, previous.messages if previous is not None else None)
        # The stamps were read at some moment of the scan: its end is the safe one to assume.
        first_seen = self._clock()
        if previous is not None and previous.stamps == scan.stamps:
            first_seen = previous.stamps_first_seen
        messages, contents = _contents_of(scan.messages, previous)
        if len(contents.messages) > MESSAGES_CHECKED_ON_THE_LOOP:
            # Here, in a thread: 50,000 lines would block the event loop for 15 to 25 ms a listing.
            _RENDERED_LISTINGS(contents)
        entry = _Remembered(
            contents,
            scan.stamps,
            messages,
            messages.selectors(),
            scan.left_out,
            scan.noted,
            scan.damage,
            first_seen,
            began,
            maildir.identity,
            maildir.lock_name,
            is_quick=maildir.is_local and not scan.damage,
        )
        self._remember(maildir.path, entry)
        return contents

    def unreadable_messages(self, maildir: Maildir) -> int:
        """Return how many message files the last scan left out."""
        entry = self._entry(maildir.path)
        return entry.left_out if entry is not None else 0

    def unique_id_damage(self, maildir: Maildir) -> str:
        """Return what of `peep-unique-ids` the last scan could not use, in words; empty if all was well."""
        entry = self._entry(maildir.path)
        return entry.damage if entry is not None else ""

    def _still_holds(self, entry: _Remembered, maildir: Maildir) -> bool:
        began = time.perf_counter()
        still_holds = entry.still_holds(maildir) and maildir.identity == entry.identity
        is_quick = maildir.is_local and time.perf_counter() - began < QUICK_SECONDS
        if still_holds and is_quick != entry.is_quick:
            self._remember(maildir.path, replace(entry, is_quick=is_quick and not entry.damage))
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
            # Two threads may scan the same maildir: the scan that began later is newer.
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
