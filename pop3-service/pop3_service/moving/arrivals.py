"""Puts messages that come from another server into a maildir; all of it blocks on the disk."""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pop3_service.maildir import Maildir, MaildirPath, Maildirs
from pop3_service.maildir.beneath import WAY_FLAGS
from pop3_service.maildir.copied import write_copied
from pop3_service.maildir.file_location import location_of
from pop3_service.maildir.folder import open_folders
from pop3_service.maildir.noted import read_noted
from pop3_service.maildir.unique_ids import unique_part
from pop3_service.moving.wanted import HeaderDigest
from pop3_service.protocol.maildrop import Message

SPARE_OCTETS = 256 << 20
"""Disk space that a move leaves to others."""

_FOLDERS = (b"new", b"cur", b"tmp")
_UNFINISHED = "peep-move."
_FOR_THE_OWNER = 0o700
_READ_AND_WRITE = 0o666
_CHUNK_OCTETS = 1 << 16
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_QUOTA_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class MoveLost(Exception):
    """Another process may have the move by now: this one puts nothing more into the maildir."""


@dataclass(frozen=True, slots=True)
class PresentMail:
    """What a maildir holds: its messages by their unique parts, and the unique-ids copied already."""

    messages: Mapping[bytes, Message]
    copied: Mapping[bytes, bytes]


def open_or_make(maildir: Maildir) -> None:
    """Open a maildir, and make those of its folders that do not exist.

    No link is followed to make one. Raises OSError as the system gives it, and `MaildirUnreadable`.
    """
    try:
        opened = maildir.open()
    except FileNotFoundError:
        _make_way(maildir.path)
        opened = maildir.open()
    for name in _FOLDERS:
        _make(name, opened.number)


def _make_way(path: MaildirPath) -> None:
    current = os.open(path.mail_directory, WAY_FLAGS)
    try:
        for name in path.folder.split(b"/"):
            _make(name, current)
            following = os.open(name, WAY_FLAGS | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = following
    finally:
        os.close(current)


def _make(name: bytes, parent: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, _FOR_THE_OWNER, dir_fd=parent)
        with _opened(name, _FOLDER_FLAGS, parent) as made:
            _give_to_owner_of(parent, made)


def _give_to_owner_of(folder: int, descriptor: int) -> None:
    """Give what was made in a folder to the folder's owner, where the service runs as root."""
    owner = os.fstat(folder)
    if os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


@contextmanager
def _opened(name: bytes, flags: int, folder: int) -> Iterator[int]:
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Arrivals:
    """Adds messages to one maildir, which is open.

    `may_go_on` is called right before a message appears in `new`. Methods raise OSError as the system gives
    it, and `MaildirUnreadable`.
    """

    def __init__(self, maildir: Maildir, may_go_on: Callable[[], bool]) -> None:
        self._maildir = maildir
        self._may_go_on = may_go_on
        self._messages = self._octets = 0

    def present(self, maildirs: Maildirs) -> PresentMail:
        """Return what the maildir holds."""
        contents = maildirs.scan(self._maildir)
        with open_folders(self._maildir) as folders:
            copied = dict(read_noted(folders).copied)
        return PresentMail({unique_part(location_of(one).name): one for one in contents.messages}, copied)

    def header_digest(self, message: Message) -> bytes:
        """Return the digest of a message's header, an empty one if its file is gone."""
        digest, opened = HeaderDigest(), self._maildir.open()
        with (
            suppress(FileNotFoundError),
            _opened(location_of(message).path, _READ_FLAGS, opened.number) as file,
        ):
            while not digest.is_complete and (chunk := os.read(file, _CHUNK_OCTETS)):
                digest.feed(chunk)
            return digest.value()
        return b""

    def note(self, copied: Mapping[bytes, bytes]) -> None:
        """Write `peep-unique-ids`, in the old server's order. Raises `MoveLost`."""
        self._require_permission()
        write_copied(self._maildir, copied, replace=True)

    def clear(self) -> None:
        """Remove what an interrupted move has left in `tmp`."""
        opened = self._maildir.open()
        with _opened(b"tmp", _FOLDER_FLAGS, opened.number) as folder:
            for name in os.listdir(folder):
                if name.startswith(_UNFINISHED):
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)

    def require_room(self, octets: int) -> None:
        """Raise OSError (ENOSPC) unless the disk has room for so much more, and some to spare."""
        opened = self._maildir.open()
        with _opened(b"new", _FOLDER_FLAGS, opened.number) as folder:
            status = os.fstatvfs(folder)
        if octets > status.f_bavail * status.f_frsize - SPARE_OCTETS:
            raise OSError(errno.ENOSPC, f"the disk has no room for {octets:,} octets more")

    def begin(self) -> "Arrival":
        """Return a new message, still empty."""
        return Arrival(self._maildir)

    def keep(self, arrival: "Arrival", name: bytes) -> None:
        """Move a message that is complete into `new`, as `name`. Raises `MoveLost`."""
        self._octets += arrival.finish()
        self._messages += 1
        self._require_permission()
        opened = self._maildir.open()
        os.rename(b"tmp/" + arrival.name, b"new/" + name, src_dir_fd=opened.number, dst_dir_fd=opened.number)

    def settle(self) -> None:
        """Make what has arrived outlast a power failure, and add it to the quota's count, if there is one."""
        opened = self._maildir.open()
        with _opened(b"new", _FOLDER_FLAGS, opened.number) as folder:
            os.fsync(folder)
        messages, self._messages, octets, self._octets = self._messages, 0, self._octets, 0
        with suppress(OSError), _opened(b"maildirsize", _QUOTA_FLAGS, opened.number) as quota:
            status = os.fstat(quota)
            if messages and stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                os.write(quota, b"%d %d\n" % (octets, messages))

    def _require_permission(self) -> None:
        if not self._may_go_on():
            raise MoveLost


class Arrival:
    """A message in `tmp`, under a name that no other process uses."""

    def __init__(self, maildir: Maildir) -> None:
        self.name = _UNFINISHED.encode() + secrets.token_hex(8).encode()
        self._maildir = maildir
        self._descriptor: int | None = None
        self._octets = 0

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write the next octets."""
        if self._descriptor is None:
            opened = self._maildir.open()
            path = b"tmp/" + self.name
            self._descriptor = os.open(path, _NEW_FILE_FLAGS, _READ_AND_WRITE & 0o600, dir_fd=opened.number)
            with _opened(b"new", _FOLDER_FLAGS, opened.number) as folder:
                _give_to_owner_of(folder, self._descriptor)
        rest = memoryview(b"".join(pieces))
        while rest:
            written = os.write(self._descriptor, rest)
            self._octets += written
            rest = rest[written:]

    def finish(self) -> int:
        """Make the file outlast a power failure; return how many octets it has."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)
        self._close()
        return self._octets

    def discard(self) -> None:
        """Remove what has come so far; after `Arrivals.keep` this does nothing."""
        self._close()
        opened = self._maildir.open()
        with suppress(FileNotFoundError):
            os.unlink(b"tmp/" + self.name, dir_fd=opened.number)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
