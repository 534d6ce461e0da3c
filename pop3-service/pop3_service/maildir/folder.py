"""One folder of a Maildir, held open."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

from pop3_service.maildir.file_location import FileLocation
from pop3_service.maildir.maildir import Maildir

# In this order: a message travels from `new` to `cur`, so one that moves between the two
# listings is seen twice rather than never.
FOLDERS = (b"new", b"cur")

# Without O_NONBLOCK the opening of a FIFO would wait for a writer, for ever if need be.
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# What opening or looking at a name says when no regular file is there (any more). Not ESTALE: a file server
# says it of files that are there.
ABSENT_ERRORS = frozenset({errno.ENOENT, errno.ELOOP, errno.EMLINK, errno.ENXIO})

FolderStamp = tuple[int, int, int]
"""Device, inode and mtime (nanoseconds) of a folder: adding, renaming, removing a name changes it."""


class Folder:
    """`new` or `cur` of one maildir; names are looked up in this very folder.

    A symbolic link in its place is not followed: whoever may write to a maildir could
    otherwise point its `cur` at somebody else's mail. Every method raises OSError as the
    system gives it.
    """

    __slots__ = ("_descriptor", "name")

    def __init__(self, maildir: Maildir, name: bytes) -> None:
        self.name = name
        directory = maildir.open()  # in a variable: it is closed when nobody refers to it any more
        self._descriptor = os.open(name, FOLDER_FLAGS, dir_fd=directory.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def stamp(self) -> FolderStamp:
        """Return what changes whenever a name in the folder does."""
        return _stamp_of(os.fstat(self._descriptor))

    def names(self) -> list[bytes]:
        """Return the names in the folder that may be messages: those that begin with no dot."""
        return [os.fsencode(name) for name in os.listdir(self._descriptor) if name[0] != "."]

    def status(self, name: bytes) -> os.stat_result:
        """Return what the system knows of the file `name`, of a link itself if it is one."""
        return os.lstat(name, dir_fd=self._descriptor)

    def open(self, name: bytes) -> int:
        """Return a descriptor to read the file `name`, which may turn out not to be a regular one."""
        return os.open(name, OPEN_FLAGS, dir_fd=self._descriptor)

    def open_beside(self, name: bytes, flags: int, mode: int = 0) -> int:
        """Return a descriptor of the file `name` in the maildir itself; `mode` is for one that it makes."""
        return os.open(beside(name), flags, mode, dir_fd=self._descriptor)

    def unlink(self, name: bytes) -> None:
        """Remove `name` from the folder."""
        os.unlink(name, dir_fd=self._descriptor)

    def holds(self, name: bytes, location: FileLocation) -> bool:
        """Tell whether `name` is the very file of `location`, whatever it holds by now."""
        try:
            status = self.status(name)
        except OSError as error:
            if error.errno in ABSENT_ERRORS:
                return False
            raise
        return stat.S_ISREG(status.st_mode) and location.identity.is_same_file(status)

    def holds_all_unchanged(self, files: Iterable[tuple[bytes, int, int, int, int]]) -> bool:
        """Tell whether each of these is in this folder, with the content that it had.

        Each is a name with the inode, mtime, size and device of its file.
        """
        # Every login goes through this once a message: no call but the system's.
        lstat, descriptor = os.lstat, self._descriptor
        for name, inode, mtime_ns, size, device in files:
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
    """Return the name by which a folder knows a file of the maildir itself: no path is looked up again."""
    return b"../" + name


@contextmanager
def open_folders(maildir: Maildir) -> Iterator[list[Folder]]:
    """Hold open those of FOLDERS that exist in `maildir`; a missing maildir has none.

    Raises OSError when one is there and cannot be opened, a link or a file in its place included.
    """
    folders = []
    with ExitStack() as stack:
        for name in FOLDERS:
            with suppress(FileNotFoundError):
                folders.append(stack.enter_context(Folder(maildir, name)))
        yield folders


def _stamp_of(status: os.stat_result) -> FolderStamp:
    return status.st_dev, status.st_ino, status.st_mtime_ns
