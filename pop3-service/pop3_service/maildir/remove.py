"""Remove one message file."""

import stat
from collections.abc import Sequence
from enum import Enum

from pop3_service.maildir.errors import RemovalFailed
from pop3_service.maildir.folder import ABSENT_ERRORS, Folder, open_folders
from pop3_service.maildir.locator import Locator, locator_of
from pop3_service.protocol.maildrop import Message

# A listing that a rename runs into can miss the file under both its names. "Already gone" is
# said only of a maildir that was quiet during the search, and this often it may not be.
SEARCH_ATTEMPTS = 3


class Removal(Enum):
    """What became of a message that was to be removed."""

    REMOVED = "removed"
    ALREADY_GONE = "already gone"


def remove_message(maildir: bytes, message: Message) -> Removal:
    """Remove the file of `message`, wherever in `maildir` it is now; blocks on the disk.

    Only the file with the listed device and inode is removed: another one under its name is
    another message, and the listed one then counts as gone. Every name of the file with its
    unique part goes, so that it cannot come back from the other folder. Symbolic links are
    never followed.

    Raises RemovalFailed when the message is, or may be, still there.
    """
    locator = locator_of(message)
    try:
        for _ in range(SEARCH_ATTEMPTS):
            with open_folders(maildir) as folders:
                stamps = [folder.stamp() for folder in folders]
                if _remove_listed(folders, locator) or _remove_elsewhere(folders, locator):
                    return Removal.REMOVED
                if [folder.stamp() for folder in folders] == stamps:
                    return Removal.ALREADY_GONE
    except OSError as error:
        raise RemovalFailed(f"the message cannot be removed: {error.strerror}") from None
    raise RemovalFailed("the message cannot be found while its folders keep changing")


def _remove_listed(folders: Sequence[Folder], locator: Locator) -> bool:
    for folder in folders:
        if folder.name == locator.folder:
            other_names = _unlink(folder, locator.name, locator)
            if other_names:
                _remove_elsewhere(folders, locator)
            return other_names is not None
    return False


def _remove_elsewhere(folders: Sequence[Folder], locator: Locator) -> bool:
    removed = [
        _unlink(folder, name, locator) is not None for folder in folders for name in folder.names_of(locator)
    ]
    return any(removed)


def _unlink(folder: Folder, name: bytes, locator: Locator) -> int | None:
    """Return how many other names the removed file has, or None if `name` is not this file."""
    try:
        status = folder.status(name)
        if not stat.S_ISREG(status.st_mode) or not locator.identity.is_same_file(status):
            return None
        folder.unlink(name)
    except OSError as error:
        if error.errno in ABSENT_ERRORS:
            return None
        raise
    return status.st_nlink - 1
