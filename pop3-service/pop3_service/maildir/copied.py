"""Write the unique-ids of the server that was here before into a maildir, for `noted.py` to read."""

import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress

from pop3_service.maildir.folder import Folder, beside, open_folders
from pop3_service.maildir.maildir import Maildir
from pop3_service.maildir.noted import FILE_NAME, MOST_LINES, read_noted

_UNFINISHED = b"." + FILE_NAME + b"."
_STALE_SECONDS = 3600.0

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_AND_WRITE = 0o666
_FOR_THE_OWNER = 0o600


def write_copied(maildir: Maildir, copied: Mapping[bytes, bytes], *, replace: bool = False) -> None:
    """Write the unique-id of each unique part, in the old server's order, empty for ours; blocks on the disk.

    The file appears whole or not at all. Its owner, its group and who may read it are those of the folder
    with the mail. With `replace` it takes the place of one that is there, and keeps what Peep noted itself.

    Raises FileExistsError when there is one, FileNotFoundError when there is no folder for mail, ValueError
    for more lines than are read, and OSError as the system gives it.
    """
    if len(copied) > MOST_LINES:
        raise ValueError(f"more than {MOST_LINES} messages")
    with open_folders(maildir) as folders:
        if not folders:
            raise FileNotFoundError("neither new nor cur is there")
        own = sorted(read_noted(folders).own) if replace else []
        lines = [b"%b\t%b\n" % each for each in copied.items()] + [b"%b\n" % each for each in own]
        _write(folders[-1], b"".join(lines), replace=replace)


def _write(folder: Folder, content: bytes, *, replace: bool) -> None:
    _remove_stale(folder)
    # In the folder with the mail, so that the folder's mtime changes when the file appears: by that running
    # services see that their listings are no longer valid. Names with a dot in front are no mail.
    unfinished = _UNFINISHED + secrets.token_hex(8).encode()
    descriptor = os.open(unfinished, _FLAGS, _FOR_THE_OWNER, dir_fd=folder.descriptor)
    try:
        with open(descriptor, "wb") as file:
            _give_to_owner(descriptor, os.fstat(folder.descriptor))
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        directories = {"src_dir_fd": folder.descriptor, "dst_dir_fd": folder.descriptor}
        if replace:
            os.rename(unfinished, beside(FILE_NAME), **directories)
        else:
            os.link(unfinished, beside(FILE_NAME), **directories, follow_symlinks=False)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=folder.descriptor)
    os.fsync(folder.descriptor)
    _sync_maildir(folder)


def _give_to_owner(descriptor: int, folder: os.stat_result) -> None:
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (folder.st_uid, folder.st_gid):
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    os.fchmod(descriptor, folder.st_mode & _READ_AND_WRITE | _FOR_THE_OWNER)


def _sync_maildir(folder: Folder) -> None:
    descriptor = os.open(b"..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.descriptor)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(folder: Folder) -> None:
    """Remove what killed imports have left."""
    for name in map(os.fsencode, os.listdir(folder.descriptor)):
        if name.startswith(_UNFINISHED):
            with suppress(FileNotFoundError):
                if time.time() - folder.status(name).st_mtime > _STALE_SECONDS:
                    folder.unlink(name)
