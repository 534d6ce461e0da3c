"""The messages that a scan has found, in little memory."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import compress

from pop3_service.maildir.file_location import FileIdentity, FileLocation
from pop3_service.maildir.folder import FOLDERS
from pop3_service.protocol.maildrop import Message

FileFacts = tuple[bytes, int, int, int, int]
"""Name, inode, mtime (nanoseconds), size (octets) and device of a listed file."""

_KINDS = 2 * len(FOLDERS)
"""The kind of a message is twice its folder's number in FOLDERS, and one more if it is plain."""


class ListedMessages:
    """Messages in the maildrop's order, stored in columns; a `Message` is made each time one is read.

    As objects 200,000 messages would take three times the memory.
    """

    # Few columns: an empty one takes 60 to 80 octets, and most maildrops are small.
    __slots__ = ("_places", "_versions", "names", "octets", "unique_ids")

    def __init__(self) -> None:
        self.unique_ids: list[bytes] = []
        self.octets = array("q")
        self.names: list[bytes] = []
        self._places = array("Q")
        """The inode of each file, then `_KINDS` times its device and its kind."""
        self._versions = array("q")
        """The mtime and the size of each file."""

    def append(self, location: FileLocation, unique_id: bytes, octets: int, *, is_plain: bool) -> None:
        """Add a message after the others."""
        identity = location.identity
        self.unique_ids.append(unique_id)
        self.octets.append(octets)
        self.names.append(location.name)
        kind = 2 * FOLDERS.index(location.folder) + is_plain
        self._places.extend((identity.inode, _KINDS * identity.device + kind))
        self._versions.extend((identity.mtime_ns, identity.size))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Message]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> Message:
        inode, place = self._places[2 * index : 2 * index + 2]
        device, kind = divmod(place, _KINDS)
        mtime_ns, size = self._versions[2 * index : 2 * index + 2]
        identity = FileIdentity(device, inode, mtime_ns, size)
        location = FileLocation(FOLDERS[kind // 2], self.names[index], identity)
        return Message(self.unique_ids[index], self.octets[index], location, is_plain=bool(kind % 2))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListedMessages) and self._columns() == other._columns()

    __hash__ = None  # type: ignore[assignment]

    def picked(self, indexes: Sequence[int]) -> "ListedMessages":
        """Return the messages with these indexes, in this order."""
        picked = ListedMessages()
        for index in indexes:  # no single call takes long: other threads go on
            picked.unique_ids.append(self.unique_ids[index])
            picked.octets.append(self.octets[index])
            picked.names.append(self.names[index])
            picked._places.extend(self._places[2 * index : 2 * index + 2])
            picked._versions.extend(self._versions[2 * index : 2 * index + 2])
        return picked

    def has_unchanged(self, index: int, identity: FileIdentity) -> bool:
        """Return whether the file of a message had this identity."""
        at = 2 * index
        return (
            self._places[at] == identity.inode
            and self._versions[at] == identity.mtime_ns
            and self._versions[at + 1] == identity.size
            and self._places[at + 1] // _KINDS == identity.device
        )

    def octets_of(self, index: int) -> tuple[int, bool]:
        """Return the octets of a message on the wire, and whether it is plain."""
        return self.octets[index], bool(self._places[2 * index + 1] % 2)

    def indexes_by_inode(self) -> dict[int, int]:
        """Return the index of the message with each inode."""
        return {inode: index for index, inode in enumerate(self._places[::2])}

    def files(self, folder: bytes) -> Iterator[FileFacts]:
        """Yield the facts of the files of one of FOLDERS."""
        number = FOLDERS.index(folder)
        places, versions = self._places, self._versions
        devices = (place // _KINDS for place in places[1::2])
        columns = (self.names, places[::2], versions[::2], versions[1::2], devices)
        are_in_it = (place % _KINDS // 2 == number for place in places[1::2])
        return compress(zip(*columns, strict=True), are_in_it)

    def _columns(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)
