"""Where the mail of one user lies."""

import os
import re
from typing import NamedTuple

from pop3_service.maildir.errors import MaildirUnreadable
from service_runtime.maildir_layout import MaildirLayout

# P11, without the slash that would lead elsewhere and without a dot in front, which would
# make `.` and `..` names of users.
_USERNAME = re.compile(r"(?!\.)[!-.0-~]{1,128}")


class MaildirPath(NamedTuple):
    """The mail directory, an absolute path, and a maildir's way from there: folders with slashes between."""

    mail_directory: bytes
    folder: bytes

    @property
    def whole(self) -> bytes:
        """The path from the root of all files."""
        return b"%b/%b" % (self.mail_directory.rstrip(b"/"), self.folder)


def maildir_of(mail_directory: str, username: str, layout: MaildirLayout) -> MaildirPath:
    """Return the folder of `username` below `mail_directory`, as octets.

    Every front end checks names already (P11). This is the last place before the disk, and
    it does not rely on them.

    Raises MaildirUnreadable for a name that the layout has no maildir for, and ValueError for
    one that P11 forbids; the texts do not repeat the name.
    """
    if _USERNAME.fullmatch(username) is None:
        raise ValueError("not a user name that may become a folder")
    folder = layout.folder_of(username)
    if folder is None:
        raise MaildirUnreadable("the user's name is no local@domain, and PEEP_MAILDIR_LAYOUT asks for one")
    return MaildirPath(os.fsencode(mail_directory), folder.encode("ascii"))
