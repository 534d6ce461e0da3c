"""`new` and `cur` of a maildir, held open."""

import errno
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from pop3_service.maildir.file_location import FileLocation
from pop3_service.maildir.giving_way import NAMES_AT_ONCE, giving_way
from pop3_service.maildir.maildir import Maildir

# In this order: a message moves from `new` to `cur`. One that moves between the two listings is found
# twice instead of never.
FOLDERS = (b"new", b"cur")

# Without O_NONBLOCK opening a FIFO would wait for a writer.
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# The system's errors for a name that is no regular file, or is gone. Not ESTALE: a file server returns it
# for files that exist.
ABSENT_ERRORS = frozenset({errno.ENOENT, errno.ELOOP, errno.EMLINK, errno.ENXIO})

FolderStamp = bytes
"""Device, inode, mtime and ctime (nanoseconds) of a folder, packed: a tuple of them is three times as large.

It changes when a name is added, renamed or removed. Programs that copy or restore mail set mtimes back;
nobody can set a ctime.
"""

_pack_stamp = struct.Struct("2Q2q").pack


def stamp_of(status: os.stat_result) -> FolderStamp:
    """Return the stamp of the folder that `status` describes."""
    try:
        return _pack_stamp(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    except struct.error:  # a time after the year 2262
        return b"%d %d %d %d" % (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def stamps_if_cached(maildir: Maildir) -> tuple[FolderStamp, ...] | None:
    """Return the stamps of FOLDERS, or None where the kernel does not have both of them in memory.

    For the event loop: it never blocks on a disk. `maildir` is held open.
    """
    statuses = [maildir.status_if_cached(name) for name in FOLDERS]
    stamps = tuple(stamp_of(status) for status in statuses if status is not None)
    return stamps if len(stamps) == len(FOLDERS) else None


class Folder:
    """`new` or `cur` of one maildir; all names are looked up in this folder.

    A symbolic link instead of the folder is not followed: a user who may write to his maildir could point
    its `cur` at another user's mail. Every method raises OSError as the system gives it.
    """

    __slots__ = ("_descriptor", "name")

    def __init__(self, maildir: Maildir, name: bytes) -> None:
        self.name = name
        opened = maildir.open()  # in a variable: it is closed when the last reference to it is gone
        self._descriptor = os.open(name, FOLDER_FLAGS, dir_fd=opened.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def descriptor(self) -> int:
        """The descriptor of the folder; it is closed at the end of the `with` block."""
        return self._descriptor

    def stamp(self) -> FolderStamp:
        """Return the folder's stamp."""
        return stamp_of(os.fstat(self._descriptor))

    def names(self) -> list[bytes]:
        """Return the names that may be messages: those that do not begin with a dot."""
        with os.scandir(self._descriptor) as entries:
            return [
                os.fsencode(entry.name)
                for entry in giving_way(entries, NAMES_AT_ONCE)
                if entry.name[0] != "."
            ]

    def status(self, name: bytes) -> os.stat_result:
        """Return the status of `name`; for a link that of the link itself."""
        return os.lstat(name, dir_fd=self._descriptor)

    def file_status(self, name: bytes) -> os.stat_result | None:
        """Return the status of the regular file `name`, or None when there is none."""
        try:
            status = self.status(name)
        except OSError as error:
            if error.errno in ABSENT_ERRORS:
                return None
            raise
        return status if stat.S_ISREG(status.st_mode) else None

    def status_of(self, location: FileLocation, name: bytes) -> os.stat_result | None:
        """Return the status of `name` if it is the file of `location`, whatever its content; else None."""
        status = self.file_status(name)
        return status if status is not None and location.identity.is_same_file(status) else None

    def open(self, name: bytes) -> int:
        """Return a descriptor to read the file `name`; it may not be a regular file."""
        return os.open(name, OPEN_FLAGS, dir_fd=self._descriptor)

    def open_beside(self, name: bytes, flags: int, mode: int = 0) -> int:
        """Return a descriptor of the file `name` in the maildir itself; a file that is made gets `mode`."""
        return os.open(beside(name), flags, mode, dir_fd=self._descriptor)

    def unlink(self, name: bytes) -> None:
        """Remove `name` from the folder."""
        os.unlink(name, dir_fd=self._descriptor)

    def holds_all_unchanged(self, files: Iterable[tuple[bytes, int, int, int, int]]) -> bool:
        """Return whether all these files are in this folder with the content that they had.

        Each is a name, and the inode, mtime (nanoseconds), size (octets) and device of its file.
        """
        # Run for every message that is remembered, every few minutes: it calls nothing but the system.
        lstat, descriptor = os.lstat, self._descriptor
        for name, inode, mtime_ns, size, device in giving_way(files):
            status = lstat(name, dir_fd=descriptor)
            if (
                status.st_ino != inode
                or status.st_mtime_ns != mtime_ns
                or status.st_size != size
                or status.st_dev != device
            ):
                return False
        return True


def beside(name: bytes) -> bytes:
    """Return the path from a folder to the file `name` of the maildir itself."""
    return b"../" + name


@contextmanager
def open_folders(maildir: Maildir) -> Iterator[list[Folder]]:
    """Hold open those of FOLDERS that exist in `maildir`; a missing maildir has none.

    Raises OSError when one exists and cannot be opened, or is a link or a file.
    """
    folders = []
    with ExitStack() as stack:
        for name in FOLDERS:
            with suppress(FileNotFoundError):
                folders.append(stack.enter_context(Folder(maildir, name)))
        yield folders
