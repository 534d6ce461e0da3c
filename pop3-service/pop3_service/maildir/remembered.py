"""An earlier scan of a maildir, and what shows that it is still valid."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from pop3_service.maildir.errors import MaildirUnreadable
from pop3_service.maildir.file_location import FileIdentity
from pop3_service.maildir.folder import FOLDERS, Folder, FolderStamp, stamps_if_cached
from pop3_service.maildir.listed import ListedMessages
from pop3_service.maildir.maildir import Maildir, MaildirIdentity
from pop3_service.maildir.noted import FILE_NAME
from pop3_service.protocol.maildrop import MaildropContents

# Two deliveries within one tick of the file server's clock leave the folder with one mtime. No file system
# in use has ticks of more than 2 s. They are measured with our own monotonic clock: the file server's may
# differ.
GRAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a scan found, and the folders' stamps from before it (None: no such folder)."""

    contents: MaildropContents
    stamps: tuple[FolderStamp | None, ...]
    messages: ListedMessages
    left_out: int
    noted: FileIdentity | None
    """The file with the old server's unique-ids; None in most maildirs."""
    damage: str
    """What of it could not be used: each login has to log it."""
    stamps_first_seen: float
    scan_began: float
    identity: MaildirIdentity | None
    lock_name: str
    is_local: bool
    """Whether it is on a disk of this machine."""
    is_doubted: bool = False
    """Whether one of its files was found changed since."""

    @property
    def weight(self) -> int:
        """What it counts of the messages that a process may remember."""
        return 1 + len(self.messages)

    @property
    def is_trusted(self) -> bool:
        """Whether unchanged folders show that it is still valid."""
        # A file that could not be read may be readable now, without a change of a folder's stamp.
        is_settled = self.scan_began - self.stamps_first_seen >= GRAIN_SECONDS
        return is_settled and not self.left_out and not self.is_doubted

    def holds_at_once(self, maildir: Maildir) -> bool:
        """Open `maildir` and return whether its folders are unchanged, without blocking on a disk.

        False also where the kernel does not have them in memory.
        """
        if not self.is_local or not self.is_trusted or self.identity is None:
            return False
        if not maildir.open_if_cached(self.identity, self.lock_name):
            return False
        if stamps_if_cached(maildir) != self.stamps:
            return False
        # Nearly all maildirs have nothing noted: that costs their logins this comparison, and no call.
        return self.noted is None or (not self.damage and self._holds_noted(maildir.status_if_cached))

    def holds(self, maildir: Maildir, *, looking_at_files: bool = False) -> bool:
        """Return whether the folders of `maildir` are unchanged, and its files too; blocks on the disk."""
        if not self.is_trusted:
            return False
        try:
            for name, stamp in zip(FOLDERS, self.stamps, strict=True):
                if not self._holds_in(maildir, name, stamp, looking_at_files=looking_at_files):
                    return False
            return maildir.identity == self.identity and self._holds_noted(maildir.status)
        except (OSError, MaildirUnreadable):
            return False

    def _holds_in(
        self, maildir: Maildir, name: bytes, stamp: FolderStamp | None, *, looking_at_files: bool
    ) -> bool:
        # Opened, because a client of a file server then asks it for the folder's mtime.
        try:
            folder = Folder(maildir, name)
        except FileNotFoundError:
            return stamp is None
        with folder:
            is_unchanged = folder.stamp() == stamp
            if is_unchanged and looking_at_files:
                return folder.holds_all_unchanged(self.messages.files(name))
            return is_unchanged

    def _holds_noted(self, status_of: Callable[[bytes], os.stat_result | None]) -> bool:
        if self.noted is None:
            return True
        status = status_of(FILE_NAME)
        return status is not None and self.noted.is_unchanged(status)
