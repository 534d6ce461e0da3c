"""The messages that a scan has found, in little memory."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import compress

from pop3_service.maildir.file_location import FileIdentity, FileLocation
from pop3_service.maildir.folder import FOLDERS
from pop3_service.protocol.maildrop import Message

FileFacts = tuple[bytes, int, int, int, int]
"""Name, inode, mtime (nanoseconds), size (octets) and device of a listed file."""


class ListedMessages:
    """Messages in the maildrop's order, stored in columns; a `Message` is made each time one is read.

    As objects 200,000 messages would take three times the memory.
    """

    __slots__ = (
        "_devices",
        "_folders",
        "_inodes",
        "_mtimes",
        "_plain",
        "_sizes",
        "names",
        "octets",
        "unique_ids",
    )

    def __init__(self) -> None:
        self.unique_ids: list[bytes] = []
        self.octets = array("q")
        self.names: list[bytes] = []
        self._folders = bytearray()
        self._inodes, self._devices = array("Q"), array("Q")
        self._mtimes, self._sizes = array("q"), array("q")
        self._plain = bytearray()

    def append(self, location: FileLocation, unique_id: bytes, octets: int, *, is_plain: bool) -> None:
        """Add a message after the others."""
        identity = location.identity
        self.unique_ids.append(unique_id)
        self.octets.append(octets)
        self.names.append(location.name)
        self._folders.append(FOLDERS.index(location.folder))
        self._inodes.append(identity.inode)
        self._devices.append(identity.device)
        self._mtimes.append(identity.mtime_ns)
        self._sizes.append(identity.size)
        self._plain.append(is_plain)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Message]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> Message:
        identity = FileIdentity(
            self._devices[index], self._inodes[index], self._mtimes[index], self._sizes[index]
        )
        location = FileLocation(FOLDERS[self._folders[index]], self.names[index], identity)
        is_plain = bool(self._plain[index])
        return Message(self.unique_ids[index], self.octets[index], location, is_plain=is_plain)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListedMessages) and self._columns() == other._columns()

    __hash__ = None  # type: ignore[assignment]

    def picked(self, indexes: Sequence[int]) -> "ListedMessages":
        """Return the messages with these indexes, in this order."""
        picked = ListedMessages()
        for name in self.__slots__:
            column, append = getattr(self, name), getattr(picked, name).append
            for index in indexes:  # no single call takes long: other threads go on
                append(column[index])
        return picked

    def has_unchanged(self, index: int, identity: FileIdentity) -> bool:
        """Return whether the file of a message had this identity."""
        return (
            self._inodes[index] == identity.inode
            and self._mtimes[index] == identity.mtime_ns
            and self._sizes[index] == identity.size
            and self._devices[index] == identity.device
        )

    def octets_of(self, index: int) -> tuple[int, bool]:
        """Return the octets of a message on the wire, and whether it is plain."""
        return self.octets[index], bool(self._plain[index])

    def indexes_by_inode(self) -> dict[int, int]:
        """Return the index of the message with each inode."""
        return {inode: index for index, inode in enumerate(self._inodes)}

    def files(self, folder: bytes) -> Iterator[FileFacts]:
        """Yield the facts of the files of one of FOLDERS."""
        number = FOLDERS.index(folder)
        columns = (self.names, self._inodes, self._mtimes, self._sizes, self._devices)
        return compress(zip(*columns, strict=True), map(number.__eq__, self._folders))

    def _columns(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)
