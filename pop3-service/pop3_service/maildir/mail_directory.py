"""The mail directory: whether this process can serve it, and where in it the maildir of a user is."""

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from pop3_service.maildir.errors import MaildirUnreadable
from service_runtime.maildir_layout import MaildirLayout

# P11, without the slash, which would lead to another folder, and without a dot in front: `.` and `..`
# would be names of users.
_USERNAME = re.compile(r"(?!\.)[!-.0-~]{1,128}")


class MaildirPath(NamedTuple):
    """An absolute path of the mail directory, and the path from there to a maildir."""

    mail_directory: bytes
    folder: bytes

    @property
    def whole(self) -> bytes:
        """The absolute path of the maildir."""
        return b"%b/%b" % (self.mail_directory.rstrip(b"/"), self.folder)


@lru_cache(maxsize=1024)  # a login asks twice: to lock it, and to open it
def maildir_of(mail_directory: str, username: str, layout: MaildirLayout) -> MaildirPath:
    """Return the path of `username`'s maildir below `mail_directory`.

    The front ends have checked the name (P11). This is the last check before the disk, and it does not
    rely on theirs.

    Raises MaildirUnreadable for a name that the layout has no maildir for, and ValueError for one that P11
    forbids. Neither text contains the name.
    """
    if _USERNAME.fullmatch(username) is None:
        raise ValueError("not a user name that may become a folder")
    folder = layout.folder_of(username)
    if folder is None:
        raise MaildirUnreadable("the user's name is no local@domain, and PEEP_MAILDIR_LAYOUT asks for one")
    return MaildirPath(_encoded(mail_directory), folder.encode("ascii"))


@lru_cache(maxsize=4)
def _encoded(mail_directory: str) -> bytes:
    # All paths share the octets: there is one for each maildir that is remembered, and one for each session.
    return os.fsencode(mail_directory)


def mail_directory_fault(path: str, roots: Sequence[str]) -> str:
    """Return why this process cannot serve mail from the mail directory `path` (P12); empty if it can.

    It must be absolute and a folder that this process can list, write and search. Where `roots` are given
    it must be one of them or below one, after all links are resolved. Blocks on the disk.
    """
    try:
        if not os.path.isabs(path):
            return "the path is not absolute"
        if not _is_within(path, roots):
            return "the folder is not below PEEP_MAIL_ROOTS"
        return "" if _is_usable(path) else "this process may not list, write and search the folder"
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError:
        return "the path has a NUL in it"


def _is_usable(path: str) -> bool:
    effective = os.access in os.supports_effective_ids
    os.stat(path)  # says why, where access(2) says only no
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=effective):
        return False
    # On a network file system access(2) only guesses: list it as well.
    with os.scandir(path) as entries:
        next(entries, None)
    return True


def _is_within(path: str, roots: Sequence[str]) -> bool:
    if not roots:
        return True
    real = os.path.realpath(path, strict=True)
    return any(_is_at_or_below(real, os.path.realpath(root)) for root in roots if os.path.isabs(root))


def _is_at_or_below(path: str, root: str) -> bool:
    # By components: `/mail/a` is not above `/mail/ab`.
    return os.path.commonpath((path, root)) == root
