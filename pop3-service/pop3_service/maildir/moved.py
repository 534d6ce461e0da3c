"""Where messages are now that are no longer where the scan found them."""

import stat
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from pop3_service.maildir.file_location import FileIdentity, FileLocation
from pop3_service.maildir.folder import Folder, FolderStamp
from pop3_service.maildir.unique_ids import unique_part

# A listing that a rename runs into can miss the file under both its names. Only a maildir that was
# quiet meanwhile tells that a message is gone, and this often it may not be.
SEARCH_ATTEMPTS = 3


class NeverQuiet(Exception):
    """The maildir's folders kept changing: a message that was not found may be there all the same."""


class FilesThere:
    """The files of a maildir at a quiet moment, by their unique parts."""

    def __init__(self) -> None:
        self.identities: set[FileIdentity] = set()
        self._by_part: defaultdict[bytes, list[FileIdentity]] = defaultdict(list)

    def add(self, part: bytes, identity: FileIdentity) -> None:
        """Take note of a file."""
        self.identities.add(identity)
        self._by_part[part].append(identity)

    def with_part(self, part: bytes) -> list[FileIdentity]:
        """Return the files with this unique part."""
        return self._by_part.get(part, [])


class MovedMessages:
    """Finds the files of one maildir's messages by their unique parts; blocks on the disk.

    Another program moves messages from `new` to `cur` and changes flags in their names, often of all
    at once: so one listing of the folders serves many questions, and is made anew only when it turns
    out to be old. Not for two threads at once.
    """

    def __init__(self) -> None:
        self._names: dict[bytes, list[tuple[bytes, bytes]]] = {}
        self._stamps: list[FolderStamp] = []
        self._files: FilesThere | None = None
        self._is_listed = False
        self._is_quiet = False

    def places(self, folders: Sequence[Folder], location: FileLocation) -> list[tuple[Folder, bytes]]:
        """Return every folder and name under which the very file of `location` is now.

        None means that it is gone: what was nowhere in a quiet maildir cannot come back. Raises
        NeverQuiet, and OSError as the system gives it.
        """
        part = unique_part(location.name)
        is_new = False
        for _ in range(SEARCH_ATTEMPTS):
            if not self._is_listed:
                self._list(folders)
                is_new = True
            names = self._names.get(part, [])
            places = [
                (folder, name)
                for folder in folders
                for folder_name, name in names
                if folder.name == folder_name and folder.holds(name, location)
            ]
            # A name that does not lead to the file may be older than its last renaming.
            if places or (self._is_quiet and (is_new or not names)):
                return places
            self._is_listed = False
        raise NeverQuiet

    def files(self, folders: Sequence[Folder]) -> "FilesThere":
        """Return what is there in place of a message that `places` has not found; looks at every file once.

        Raises NeverQuiet, and OSError as the system gives it.
        """
        for _ in range(SEARCH_ATTEMPTS):
            if not self._is_listed:
                self._list(folders)
            files = self._files or self._look_at_all(folders)
            if self._is_quiet and self._stamps == [folder.stamp() for folder in folders]:
                self._files = files
                return files
            self._is_listed = False
        raise NeverQuiet

    def _look_at_all(self, folders: Sequence[Folder]) -> "FilesThere":
        files = FilesThere()
        by_name = {folder.name: folder for folder in folders}
        for part, names in self._names.items():
            for folder_name, name in names:
                with suppress(FileNotFoundError):  # then the maildir is not quiet
                    status = by_name[folder_name].status(name)
                    if stat.S_ISREG(status.st_mode):
                        files.add(part, FileIdentity.of(status))
        return files

    def _list(self, folders: Sequence[Folder]) -> None:
        stamps = self._stamps = [folder.stamp() for folder in folders]
        self._files = None
        self._names = defaultdict(list)
        for folder in folders:
            for name in folder.names():
                self._names[unique_part(name)].append((folder.name, name))
        self._is_quiet = [folder.stamp() for folder in folders] == stamps
        self._is_listed = True
