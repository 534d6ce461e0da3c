"""Where the mail of one user lies."""

import os
import re

# P11, without the slash that would lead elsewhere and without a dot in front, which would
# make `.` and `..` names of users.
_USERNAME = re.compile(r"(?!\.)[!-.0-~]{1,128}")


def maildir_of(mail_directory: str, username: str) -> bytes:
    """Return the folder of `username` below `mail_directory`, as octets.

    Every front end checks names already (P11). This is the last place before the disk, and
    it does not rely on them.

    Raises ValueError for a name that P11 forbids; the text does not repeat the name.
    """
    if _USERNAME.fullmatch(username) is None:
        raise ValueError("not a user name that may become a folder")
    return os.path.join(os.fsencode(mail_directory), username.encode("ascii"))
