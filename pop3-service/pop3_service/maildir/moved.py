"""Finds messages that are no longer where the scan found them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pop3_service.maildir.file_location import FileIdentity, FileLocation
from pop3_service.maildir.folder import Folder, FolderStamp
from pop3_service.maildir.giving_way import giving_way
from pop3_service.maildir.unique_ids import unique_part

# A listing during which a file is renamed can contain neither of its names. So only a listing of folders
# that did not change meanwhile proves that a message is gone. In a maildir that always changes the search
# ends after so many listings.
SEARCH_ATTEMPTS = 3

_NOTHING_LISTED: Mapping[bytes, list[tuple[bytes, bytes]]] = MappingProxyType({})


class NeverQuiet(Exception):
    """The folders changed during every listing: a message that was not found may still exist."""


class PresentFiles:
    """All regular files of a maildir at one moment."""

    def __init__(self) -> None:
        self.identities: set[FileIdentity] = set()
        self.by_part: defaultdict[bytes, list[FileIdentity]] = defaultdict(list)
        """The files with each unique part."""


class MovedMessages:
    """Finds the files of one maildir's messages by their unique parts; blocks on the disk.

    Other programs move messages from `new` to `cur` and change the flags in their names, often of all
    messages at once. So one listing of the folders is used for many messages, until it proves outdated. Not
    for two threads at once.
    """

    # Every session has one, and few ever list: it is small until then.
    __slots__ = ("_files", "_is_listed", "_is_quiet", "_names", "_stamps")

    def __init__(self) -> None:
        self._names: Mapping[bytes, list[tuple[bytes, bytes]]] = _NOTHING_LISTED
        self._stamps: Sequence[FolderStamp] = ()
        self._files: PresentFiles | None = None
        self._is_listed = False
        self._is_quiet = False

    def find(self, folders: Sequence[Folder], location: FileLocation) -> list[tuple[Folder, bytes]]:
        """Return every folder and name that the file of `location` has now.

        An empty list means that it is gone for good. Raises NeverQuiet, and OSError as the system gives it.
        """
        part = unique_part(location.name)
        is_new = False
        for _ in range(SEARCH_ATTEMPTS):
            if not self._is_listed:
                self._list(folders)
                is_new = True
            names = self._names.get(part, [])
            found = [
                (folder, name)
                for folder in folders
                for folder_name, name in names
                if folder.name == folder_name and folder.status_of(location, name)
            ]
            # A listed name that is not the file any more may be from before its last renaming.
            if found or (self._is_quiet and (is_new or not names)):
                return found
            self._is_listed = False
        raise NeverQuiet

    def present_files(self, folders: Sequence[Folder]) -> PresentFiles:
        """Return the files that exist now, for a message that `find` did not find.

        Raises NeverQuiet, and OSError as the system gives it.
        """
        for _ in range(SEARCH_ATTEMPTS):
            if not self._is_listed:
                self._list(folders)
            files = self._files or self._read_identities(folders)
            if self._is_quiet and self._stamps == [folder.stamp() for folder in folders]:
                self._files = files
                return files
            self._is_listed = False
        raise NeverQuiet

    def _read_identities(self, folders: Sequence[Folder]) -> PresentFiles:
        files = PresentFiles()
        by_name = {folder.name: folder for folder in folders}
        for part, names in giving_way(self._names.items()):
            for folder_name, name in names:
                status = by_name[folder_name].file_status(name)
                if status is not None:
                    identity = FileIdentity.of(status)
                    files.identities.add(identity)
                    files.by_part[part].append(identity)
        return files

    def _list(self, folders: Sequence[Folder]) -> None:
        stamps = self._stamps = [folder.stamp() for folder in folders]
        self._files = None
        names: defaultdict[bytes, list[tuple[bytes, bytes]]] = defaultdict(list)
        for folder in folders:
            for name in folder.names():
                names[unique_part(name)].append((folder.name, name))
        self._names = names
        self._is_quiet = [folder.stamp() for folder in folders] == stamps
        self._is_listed = True
