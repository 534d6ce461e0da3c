"""Read one message file, as fast as its client reads."""

import os
from contextlib import suppress
from threading import Lock
from typing import Self

from pop3_service.maildir.beneath import open_beneath, open_if_cached
from pop3_service.maildir.errors import MessageChanged, MessageGone, MessageUnreadable
from pop3_service.maildir.file_location import FileIdentity, FileLocation, location_of
from pop3_service.maildir.folder import ABSENT_ERRORS, OPEN_FLAGS, open_folders
from pop3_service.maildir.maildir import Maildir
from pop3_service.maildir.moved import SEARCH_ATTEMPTS, MovedMessages, NeverQuiet
from pop3_service.maildir.wire import read_wire
from pop3_service.protocol.maildrop import Message
from pop3_service.protocol.multiline import LINE_FEED

# Linux only: read from the page cache, and fail instead of waiting for the disk.
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)

# The number of a closed descriptor may belong to another file by now.
_CLOSED = "the message file is closed"
_UNREADABLE = "the message cannot be read"


def wire_if_cached(maildir: Maildir, message: Message, longest: int) -> bytes | None:
    """Return `message` as RETR sends it after `+OK` if it is in the page cache and not longer than `longest`.

    For the event loop. None means that the content has to be read from the disk, or that the file is no
    longer where it was listed: use `MessageFile`.

    Raises MessageChanged when the listed octets are wrong by now.
    """
    location = location_of(message)
    size = location.identity.size
    if _NOWAIT is None or size > longest:
        return None
    descriptor = _open_cached(maildir, location)
    if descriptor is None:
        return None
    try:
        _require_unchanged(descriptor, location.identity)
        return read_wire(descriptor, 0, size, _NOWAIT, LINE_FEED, True, message.is_plain)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _open_cached(maildir: Maildir, location: FileLocation) -> int | None:
    opened = maildir.held
    if opened is None or not maildir.is_local:
        return None
    return open_if_cached(opened.number, location.path, OPEN_FLAGS)


def _open_listed(maildir: Maildir, location: FileLocation) -> int | None:
    try:
        opened = maildir.open()  # in a variable: it is closed when the last reference to it is gone
        return open_beneath(opened.number, location.path, OPEN_FLAGS)
    except OSError as error:
        if error.errno in ABSENT_ERRORS:
            return None
        raise MessageUnreadable.caused_by(_UNREADABLE, error) from None


def _require_unchanged(descriptor: int, identity: FileIdentity) -> None:
    try:
        is_unchanged = identity.is_held_by(descriptor)
    except OSError as error:  # ESTALE: another host has removed it from the file server
        raise MessageUnreadable.caused_by(_UNREADABLE, error) from None
    if not is_unchanged:
        raise MessageChanged("the message is not as it was listed")


class MessageFile:
    """An open message file, read once from its beginning to its end.

    It ends after `size` octets, those that the scan counted. The last of them are not to be had when the file
    has been written to meanwhile: each method that reads then raises MessageChanged.
    """

    __slots__ = ("_descriptor", "_identity", "_is_closed", "_is_reading", "_lock", "_position", "is_local")

    def __init__(self, descriptor: int, identity: FileIdentity, *, is_local: bool) -> None:
        self.is_local = is_local
        """Whether the disk is certainly one of this machine: otherwise even closing the file may block."""
        self._descriptor = descriptor
        self._identity = identity
        self._position = 0
        self._lock = Lock()
        self._is_reading = False
        self._is_closed = False

    @property
    def size(self) -> int:
        """The octets of the file when it was listed."""
        return self._identity.size

    @property
    def lane(self) -> int:
        """The device of the file's disk."""
        return self._identity.device

    @classmethod
    def open_if_cached(cls, maildir: Maildir, message: Message) -> Self | None:
        """Open the file of `message` where the scan found it, if that does not block on the disk.

        For the event loop: on None call `open` in a thread. Raises MessageChanged when the listed octets are
        wrong by now.
        """
        descriptor = _open_cached(maildir, location_of(message))
        return None if descriptor is None else cls._of(descriptor, maildir, message)

    @classmethod
    def open(cls, maildir: Maildir, message: Message, moved: MovedMessages) -> Self:
        """Open the file of `message`, wherever in `maildir` it is now; blocks on the disk.

        A message that has moved from `new` to `cur`, or has other flags, is found by its unique part and its
        inode.

        Raises MessageGone, MessageChanged when the listed octets are wrong by now, and MessageUnreadable.
        """
        location = location_of(message)
        descriptor = _open_listed(maildir, location)
        if descriptor is None:
            try:
                descriptor = _opened_elsewhere(maildir, location, moved)
            except OSError as error:
                raise MessageUnreadable.caused_by(_UNREADABLE, error) from None
        if descriptor is None:
            raise MessageGone("the message is no longer there")
        return cls._of(descriptor, maildir, message)

    @classmethod
    def _of(cls, descriptor: int, maildir: Maildir, message: Message) -> Self:
        identity = location_of(message).identity
        try:
            _require_unchanged(descriptor, identity)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, identity, is_local=maildir.is_local)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_cached(self, count: int) -> bytes | None:
        """Return up to `count` octets from the page cache, b"" at the end of the message.

        For the event loop: on None call `read` in a thread. Raises ValueError after `close`.
        """
        if self._is_closed:
            raise ValueError(_CLOSED)
        wanted = min(count, self.size - self._position)
        if wanted <= 0:
            return b""
        if _NOWAIT is None or not self.is_local:
            return None
        buffer = bytearray(wanted)
        try:
            length = os.preadv(self._descriptor, [buffer], self._position, _NOWAIT)
        except OSError:
            return None
        # Some kernels return 0 when nothing is cached. The blocking read decides.
        if length == 0:
            return None
        self._has_read(length)
        return bytes(buffer) if length == wanted else bytes(buffer[:length])

    def wire_if_cached(self, count: int, before: int) -> bytes | None:
        """Return the next `count` octets as wire lines, from the page cache, b"" at the end of the message.

        `before` is the last octet that was read. For the event loop: on None use `read_cached` and `read`.
        Raises ValueError after `close`.
        """
        if self._is_closed:
            raise ValueError(_CLOSED)
        wanted = min(count, self.size - self._position)
        if _NOWAIT is None or not self.is_local:
            return None
        try:
            wire = read_wire(self._descriptor, self._position, wanted, _NOWAIT, before, False, False)
        except OSError:
            return None
        if wire is not None:
            self._has_read(wanted)
        return wire

    def read(self, count: int) -> bytes:
        """Return up to `count` octets, b"" at the end of the message; blocks on the disk.

        Raises MessageChanged when the file has become shorter: a part of a message must not look like the
        whole. Raises MessageUnreadable when the disk fails, and ValueError after `close`.
        """
        wanted = min(count, self.size - self._position)
        if wanted <= 0:
            return b""
        content = self._read_guarded(wanted)
        if not content:
            raise MessageChanged("the message became shorter while it was read")
        return content

    def _has_read(self, octets: int) -> None:
        self._position += octets
        if self._position == self._identity.size:
            _require_unchanged(self._descriptor, self._identity)

    def close(self) -> None:
        """Close the file; while a thread reads it, as soon as the thread has read."""
        with self._lock:
            is_first = not self._is_closed
            self._is_closed = True
            if is_first and not self._is_reading:
                os.close(self._descriptor)

    def _read_guarded(self, count: int) -> bytes:
        # A connection can be lost while a thread reads for it. If the descriptor were closed at once, the
        # next opened file would get its number, and the thread would read another user's mail.
        with self._lock:
            if self._is_closed:
                raise ValueError(_CLOSED)
            self._is_reading = True
        try:
            content = os.pread(self._descriptor, count, self._position)
            self._has_read(len(content))
            return content
        except OSError as error:
            raise MessageUnreadable.caused_by(_UNREADABLE, error) from None
        finally:
            with self._lock:
                self._is_reading = False
                if self._is_closed:
                    os.close(self._descriptor)


def _opened_elsewhere(maildir: Maildir, location: FileLocation, moved: MovedMessages) -> int | None:
    with open_folders(maildir) as folders, suppress(NeverQuiet):
        for _ in range(SEARCH_ATTEMPTS):
            for folder, name in moved.find(folders, location):
                with suppress(FileNotFoundError):  # renamed once more, just now
                    return folder.open(name)
    return None
