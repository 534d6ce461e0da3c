"""One user's maildir: opened without following users' links, and held open while it is used."""

import errno
import os
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Final

from pop3_service.maildir.beneath import WAY_FLAGS, is_on_local_disk, open_beneath, open_if_cached
from pop3_service.maildir.errors import MaildirUnreadable
from pop3_service.maildir.links import open_along_links, refusal
from pop3_service.maildir.mail_directory import MaildirPath

MaildirIdentity = tuple[int, int]
"""Device and inode of a maildir: the same for all its names."""

HELD_OPEN = 256
"""Maildirs that a process holds open for its sessions, the last ones that were opened: thousands of idle
sessions must not use as many descriptors. The others are opened again when they are needed."""

_STATUS_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC

_LINK_IN_THE_WAY = frozenset({errno.ELOOP, errno.ENOTDIR})


class Descriptor:
    """A descriptor that is closed when the last reference to it is gone.

    A thread may still use it after its session's end. If it were closed then, another user's file could get
    its number.
    """

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number: Final = number

    def __del__(self) -> None:
        os.close(self.number)


class HeldOpen:
    """The maildirs that are held open, at most `limit`. All methods may be called from any thread."""

    def __init__(self, limit: int = HELD_OPEN) -> None:
        self._limit = limit
        self._lock = Lock()
        self._maildirs: OrderedDict[Maildir, None] = OrderedDict()

    def add(self, maildir: "Maildir") -> None:
        """Add a maildir that has been opened; over the limit the oldest one is no longer held open."""
        with self._lock:
            self._maildirs[maildir] = None
            if len(self._maildirs) > self._limit:
                oldest, _ = self._maildirs.popitem(last=False)
                oldest.let_go()

    def discard(self, maildir: "Maildir") -> None:
        """Remove a maildir that is no longer used."""
        with self._lock:
            self._maildirs.pop(maildir, None)


class Maildir:
    """The maildir of one session: once opened it stays the same one, even if its path leads to another later.

    `open` raises OSError as the system gives it: FileNotFoundError while the maildir does not exist, ESTALE
    when its path leads to another one by now.
    """

    __slots__ = ("_held_open", "_is_closed", "_roots", "held", "identity", "is_local", "lock_name", "path")

    def __init__(self, path: MaildirPath, held_open: HeldOpen, roots: Sequence[bytes] = ()) -> None:
        self.path = path
        self.identity: MaildirIdentity | None = None
        self.lock_name = ""
        """The name that a session in this maildir locks: the same on all hosts and for all paths to it."""
        self.is_local = False
        """Whether it is certainly on a disk of this machine."""
        self._roots = roots
        self._held_open = held_open
        self._is_closed = False
        self.held: Descriptor | None = None
        """The maildir's descriptor while it is held open. Any thread may set it to None."""

    def let_go(self) -> None:
        """Stop holding it open; `open` opens it again."""
        self.held = None

    def close(self) -> None:
        """Stop holding it open for good: its session is over, though a thread may still use it."""
        self._is_closed = True
        self._held_open.discard(self)
        self.held = None

    def open(self) -> Descriptor:
        """Return the maildir's descriptor, opened unless it is held open; blocks on the disk."""
        return self.held or self._open()

    def open_if_cached(self, identity: MaildirIdentity, lock_name: str) -> bool:
        """Open it and return True if that does not block and it is the local maildir with this identity."""
        descriptor = open_if_cached(None, self.path.whole, WAY_FLAGS)
        if descriptor is None:
            return False
        opened = Descriptor(descriptor)
        if _identity_of(descriptor) != identity:
            return False
        self.identity, self.lock_name, self.is_local = identity, lock_name, True
        self._hold(opened)
        return True

    def status(self, path: bytes) -> os.stat_result:
        """Return the status of what is at `path` from the maildir, of a link itself; blocks on the disk."""
        opened = self.open()  # in a variable: it is closed when the last reference to it is gone
        return os.lstat(path, dir_fd=opened.number)

    def status_if_cached(self, path: bytes) -> os.stat_result | None:
        """Do as `status` if the maildir is held open and the kernel has the path in memory, without blocking.

        None otherwise, and where nothing is there.
        """
        opened = self.held
        descriptor = open_if_cached(opened.number, path, _STATUS_FLAGS) if opened is not None else None
        if descriptor is None:
            return None
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def _hold(self, opened: Descriptor) -> None:
        if not self._is_closed:
            self.held = opened
            self._held_open.add(self)

    def _open(self) -> Descriptor:
        mail_directory = Descriptor(self._open_mail_directory())
        opened = Descriptor(self._open_below(mail_directory.number))
        identity = _identity_of(opened.number)
        if self.identity is None:
            self.identity = identity
            self.is_local = is_on_local_disk(opened.number)
            self.lock_name = self._lock_name(identity, mail_directory.number)
        elif identity != self.identity:
            raise OSError(errno.ESTALE, "another maildir is in its place")
        self._hold(opened)
        return opened

    def _open_mail_directory(self) -> int:
        try:
            return os.open(self.path.mail_directory, WAY_FLAGS)
        except FileNotFoundError:
            # A user without mail may have no maildir yet. A missing mail directory is a lost mount, and must
            # not look like an empty maildrop.
            raise MaildirUnreadable("the mail directory is not there") from None

    def _open_below(self, mail_directory: int) -> int:
        try:
            return open_beneath(mail_directory, self.path.folder, WAY_FLAGS)
        except OSError as error:
            if error.errno not in _LINK_IN_THE_WAY:
                raise
            if not self._roots:
                raise refusal() if error.errno == errno.ELOOP else error from None
        return open_along_links(self.path.mail_directory, self.path.folder, self._roots)

    def _lock_name(self, identity: MaildirIdentity, mail_directory: int) -> str:
        """Return the identity in a form that is the same on all hosts.

        The devices of file servers have other numbers on every host. So the name contains no device if it is
        the mail directory's, and otherwise the root on this device.
        """
        device, inode = identity
        if device == os.fstat(mail_directory).st_dev:
            return str(inode)
        for root in self._roots:
            if device == _device_of(root):
                return f"{os.fsdecode(root)}:{inode}"
        return f"{device}:{inode}"


def _device_of(path: bytes) -> int | None:
    try:
        return os.stat(path).st_dev
    except OSError:
        return None


def _identity_of(descriptor: int) -> MaildirIdentity:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
