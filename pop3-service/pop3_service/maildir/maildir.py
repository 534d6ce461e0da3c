"""One user's maildir: found without following anybody's links, and held open while it is used."""

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
"""Device and inode of a maildir: what its names have in common."""

HELD_OPEN = 256
"""Maildirs that a process holds open for its sessions, those that were opened last: thousands of idle
sessions must not take as many descriptors more. The others are found anew when they are needed."""

_LOOK_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC

_LINK_IN_THE_WAY = frozenset({errno.ELOOP, errno.ENOTDIR})


class Directory:
    """A folder that is open until nobody refers to it any more.

    Closed by whoever drops it last: a thread that still works in it would otherwise find the number of its
    descriptor given to somebody else's file.
    """

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor: Final = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class HeldOpen:
    """The maildirs that are held open; not more than `limit`. Its methods may be called from any thread."""

    def __init__(self, limit: int = HELD_OPEN) -> None:
        self._limit = limit
        self._lock = Lock()
        self._maildirs: OrderedDict[Maildir, None] = OrderedDict()

    def add(self, maildir: "Maildir") -> None:
        """Take note of a maildir that has been opened, and let the oldest one go where it is one too many."""
        with self._lock:
            self._maildirs[maildir] = None
            if len(self._maildirs) > self._limit:
                oldest, _ = self._maildirs.popitem(last=False)
                oldest.let_go()

    def discard(self, maildir: "Maildir") -> None:
        """Take note of a maildir that is not needed any more."""
        with self._lock:
            self._maildirs.pop(maildir, None)


class Maildir:
    """The maildir of one session: once it has been opened it is that one, whatever its path leads to later.

    `open` raises OSError as the system gives it: FileNotFoundError while there is no such maildir, ESTALE
    when its path leads to another one by now.
    """

    __slots__ = (
        "_directory",
        "_held_open",
        "_is_closed",
        "_roots",
        "identity",
        "is_local",
        "lock_name",
        "path",
    )

    def __init__(self, path: MaildirPath, held_open: HeldOpen, roots: Sequence[bytes] = ()) -> None:
        self.path = path
        self.identity: MaildirIdentity | None = None
        self.lock_name = ""
        """What a session in this maildir locks: the same on all hosts and for all names of it."""
        self.is_local = False
        """Whether it is known to lie on a disk of this machine."""
        self._roots = roots
        self._held_open = held_open
        self._is_closed = False
        self._directory: Directory | None = None

    @property
    def held(self) -> Directory | None:
        """The maildir's folder where it is held open."""
        return self._directory

    def let_go(self) -> None:
        """Hold it open no more; `open` finds it again."""
        self._directory = None

    def close(self) -> None:
        """Let it go for good: its session is over, though a thread may still work in it."""
        self._is_closed = True
        self._held_open.discard(self)
        self._directory = None

    def open(self) -> Directory:
        """Return the maildir's folder, opened where it is not held open; may wait for the disk."""
        return self._directory or self._open()

    def open_if_cached(self, identity: MaildirIdentity, lock_name: str) -> bool:
        """Hold it open if that can be done without waiting, and it is the local one with this identity."""
        descriptor = open_if_cached(None, self.path.whole, WAY_FLAGS)
        if descriptor is None:
            return False
        directory = Directory(descriptor)
        if _identity_of(descriptor) != identity:
            return False
        self.identity, self.lock_name, self.is_local = identity, lock_name, True
        self._hold(directory)
        return True

    def has_cached(self, path: bytes) -> bool:
        """Tell whether the kernel has a file's way from the maildir in memory, which is held open."""
        assert self._directory is not None
        descriptor = open_if_cached(self._directory.descriptor, path, _LOOK_FLAGS)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    def _hold(self, directory: Directory) -> None:
        if not self._is_closed:
            self._directory = directory
            self._held_open.add(self)

    def _open(self) -> Directory:
        mail = Directory(self._open_mail_directory())
        directory = Directory(self._open_below(mail.descriptor))
        identity = _identity_of(directory.descriptor)
        if self.identity is None:
            self.identity = identity
            self.is_local = is_on_local_disk(directory.descriptor)
            self.lock_name = self._lock_name(identity, mail.descriptor)
        elif identity != self.identity:
            raise OSError(errno.ESTALE, "another maildir is in its place")
        self._hold(directory)
        return directory

    def _open_mail_directory(self) -> int:
        try:
            return os.open(self.path.mail_directory, WAY_FLAGS)
        except FileNotFoundError:
            # A user without mail may have no maildir yet. A mail directory that is not there is a lost
            # mount, and must not look like an empty maildrop.
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

        The device of a file server's folders has another number on every host, so it is called after what it
        is the device of: the mail directory, or else the root that links lead to.
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
        return None  # the maildir does not lie there


def _identity_of(descriptor: int) -> MaildirIdentity:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
