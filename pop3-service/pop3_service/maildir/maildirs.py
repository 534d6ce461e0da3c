"""The maildirs of one process, and what it remembers of them."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from operator import attrgetter
from threading import Lock

from pop3_service.maildir.listed import ListedMessages
from pop3_service.maildir.mail_directory import MaildirPath
from pop3_service.maildir.maildir import HeldOpen, Maildir
from pop3_service.maildir.remembered import Remembered
from pop3_service.maildir.scan import scan_maildir
from pop3_service.protocol.maildrop import SMALL_MAILDROP, MaildropContents

_RENDERED_LISTINGS = attrgetter("drop_listing", "scan_listing", "unique_id_listing")

REMEMBERED_MESSAGES = 500_000
"""Messages that a process remembers. Each takes about 250 octets with its part of the listings, and 600 in a
small maildrop: at most about 300 MB."""


def _contents_of(
    messages: ListedMessages, previous: Remembered | None
) -> tuple[ListedMessages, MaildropContents]:
    # The same objects if nothing has changed: they are in memory once, and their listings are rendered.
    if previous is not None and previous.messages == messages:
        return previous.messages, previous.contents
    return messages, MaildropContents(messages, messages.octets, messages.unique_ids)


class Maildirs:
    """Scans maildirs and remembers what it found, for all sessions of one process.

    A remembered listing never hides mail. It is used only if its scan began GRAIN_SECONDS after this process
    first saw the folders with the mtimes that they still have. By then the file server's clock had left the
    tick of those mtimes, so every later delivery gives the folders newer ones.

    It may show a message that somebody has changed in place, which changes no folder. Whoever opens the
    message notices it by its identity, and calls `doubt`; so does `verify`, which looks at every file.

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
        self._entries: OrderedDict[MaildirPath, Remembered] = OrderedDict()
        self._used: set[MaildirPath] = set()
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
        return maildir.identity[0] if maildir.identity is not None else self.device(maildir.path)

    def device(self, path: MaildirPath) -> int | None:
        """Return the device of the maildir that was last seen at `path`, None when none was."""
        entry = self._entries.get(path)
        return entry.identity[0] if entry is not None and entry.identity is not None else None

    def remembered(self, maildir: Maildir) -> MaildropContents | None:
        """Open `maildir` and return its contents if they are known, without blocking on a disk.

        For the event loop: it opens three folders that the kernel has in memory. On None call `scan` in a
        thread.
        """
        entry = self._entry(maildir.path)
        return entry.contents if entry is not None and entry.holds_at_once(maildir) else None

    def scan(self, maildir: Maildir) -> MaildropContents:
        """Return the contents of `maildir` as they are now, and remember them; blocks on the disk.

        A scan that finds nothing new returns the same object as the last one. Raises MaildirUnreadable when
        the maildir cannot be listed.
        """
        previous = self._entry(maildir.path)
        if previous is not None and previous.holds(maildir):
            return previous.contents
        began = self._clock()
        scan = scan_maildir(maildir, previous.messages if previous is not None else None)
        # The stamps were read at some moment of the scan: its end is the safe one to assume.
        first_seen = self._clock()
        if previous is not None and previous.stamps == scan.stamps:
            first_seen = previous.stamps_first_seen
        messages, contents = _contents_of(scan.messages, previous)
        if len(messages) > SMALL_MAILDROP:
            # Here, in a thread: 50,000 lines would block the event loop for 15 to 25 ms a listing.
            _RENDERED_LISTINGS(contents)
        entry = Remembered(
            contents,
            scan.stamps,
            messages,
            scan.left_out,
            scan.noted,
            scan.damage,
            first_seen,
            began,
            maildir.identity,
            maildir.lock_name,
            maildir.is_local,
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

    def doubt(self, path: MaildirPath) -> None:
        """Let the next login scan the maildir at `path`: one of its files is not as it was listed."""
        with self._lock:
            entry = self._entries.get(path)
            if entry is not None:
                self._entries[path] = replace(entry, is_doubted=True)

    def used(self) -> list[MaildirPath]:
        """Return the paths of the remembered listings that logins have used since the last call."""
        with self._lock:
            used, self._used = self._used, set()
        return [path for path in used if path in self._entries]

    def verify(self, path: MaildirPath) -> None:
        """Look at each file of what is remembered of a maildir, and doubt it if one has changed.

        Blocks on the disk. It takes no place among the maildirs that are held open for sessions.
        """
        entry = self._entries.get(path)
        with closing(Maildir(path, HeldOpen(), self._roots)) as maildir:
            if entry is not None and not entry.holds(maildir, looking_at_files=True):
                self.doubt(path)

    def _entry(self, path: MaildirPath) -> Remembered | None:
        """Return what is remembered of `path`, for a login."""
        with self._lock:
            entry = self._entries.get(path)
            if entry is not None:
                self._entries.move_to_end(path)
                self._used.add(path)
            return entry

    def _remember(self, path: MaildirPath, entry: Remembered) -> None:
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
            self._used.discard(path)
