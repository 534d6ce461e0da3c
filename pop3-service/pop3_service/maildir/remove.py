"""Remove message files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum
from functools import partial

from pop3_service.maildir.errors import MaildirUnreadable, RemovalFailed
from pop3_service.maildir.file_location import FileLocation, location_of
from pop3_service.maildir.folder import Folder, open_folders
from pop3_service.maildir.maildir import Maildir
from pop3_service.maildir.moved import SEARCH_ATTEMPTS, MovedMessages, NeverQuiet
from pop3_service.maildir.noted import read_noted
from pop3_service.maildir.quota_file import QuotaTally, quota_kept
from pop3_service.maildir.unique_ids import unique_id_of_namesake, unique_part
from pop3_service.protocol.maildrop import Message


class Removal(Enum):
    """What became of a message that was to be removed."""

    REMOVED = "removed"
    ALREADY_GONE = "already gone"


@contextmanager
def removal_from(
    maildir: Maildir, moved: MovedMessages, tally: QuotaTally | None = None
) -> Iterator[Callable[[Message], Removal]]:
    """Hold the folders of `maildir` open, and give the function that removes a message; blocks on the disk.

    The function finds the message wherever in `maildir` it is now, by `moved` when it is not where it was
    listed. It removes only the file with the listed device and inode, under each of its names with the
    listed unique part: otherwise the message would come back from the other folder. A message that another
    program has removed is ALREADY_GONE, unless it has been replaced or has another unique part: then it would
    be listed again. No symbolic link is followed. What is removed is added to `tally`, and at the end
    subtracted in the maildir's `maildirsize`.

    Raises RemovalFailed when a folder cannot be opened. The function raises it when the message still exists,
    or may exist.
    """
    tally = tally or QuotaTally()
    with ExitStack() as stack:
        try:
            folders = stack.enter_context(open_folders(maildir))
        except OSError as error:
            raise RemovalFailed.caused_by("the folders cannot be opened", error) from None
        except MaildirUnreadable as error:
            raise RemovalFailed(str(error)) from None
        stack.enter_context(quota_kept(folders, tally))
        yield partial(_remove, folders, moved, tally)


def _remove(folders: Sequence[Folder], moved: MovedMessages, tally: QuotaTally, message: Message) -> Removal:
    location = location_of(message)
    try:
        if _remove_listed(folders, location, moved) or _remove_moved(folders, location, moved):
            tally.add(location)
            return Removal.REMOVED
        _require_gone(folders, message, moved)
        return Removal.ALREADY_GONE
    except NeverQuiet:
        raise RemovalFailed("the message cannot be found while its folders keep changing") from None
    except OSError as error:
        raise RemovalFailed.caused_by("the message cannot be removed", error) from None


def _require_gone(folders: Sequence[Folder], message: Message, moved: MovedMessages) -> None:
    """Raise RemovalFailed when the message has been renamed or replaced: it would be listed again."""
    location = location_of(message)
    files = moved.present_files(folders)
    if location.identity in files.identities:
        raise RemovalFailed("the message has another name by now")
    part = unique_part(location.name)
    namesakes = files.by_part.get(part)
    if namesakes:
        noted = read_noted(folders)
        is_plain = message.unique_id == noted.plain_id(part)
        if is_plain and any(unique_id_of_namesake(part, file.inode) not in noted.own for file in namesakes):
            raise RemovalFailed("the message is another file by now")


def _remove_listed(folders: Sequence[Folder], location: FileLocation, moved: MovedMessages) -> bool:
    for folder in folders:
        if folder.name == location.folder:
            other_names = _unlink(folder, location.name, location)
            if other_names:
                _remove_moved(folders, location, moved)
            return other_names is not None
    return False


def _remove_moved(folders: Sequence[Folder], location: FileLocation, moved: MovedMessages) -> bool:
    is_removed = False
    for _ in range(SEARCH_ATTEMPTS):
        found = moved.find(folders, location)
        if not found:
            return is_removed
        for folder, name in found:
            is_removed = _unlink(folder, name, location) is not None or is_removed
        if is_removed:
            return True
    raise NeverQuiet


def _unlink(folder: Folder, name: bytes, location: FileLocation) -> int | None:
    """Return how many other names the removed file has, or None if `name` is not this file."""
    status = folder.status_of(location, name)
    if status is not None:
        with suppress(FileNotFoundError):
            folder.unlink(name)
            return status.st_nlink - 1
    return None
