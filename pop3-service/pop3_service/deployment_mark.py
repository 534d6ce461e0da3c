"""A mark in the mail directory: which deployment's users have their mail here.

Mail and store are kept apart, and one may be lost without the other. By the mark a process that starts beside
an emptied store knows that there were users, and whose. No user's folder can have its name (P11).
"""

import contextlib
import os
import re

MARK = ".peep-deployment"

_ID = re.compile(r"[0-9a-f]{40}")
_LONGEST_OCTETS = 1000


def read_mark(mail_directory: str) -> str:
    """Return the id of the deployment that a mail directory belongs to; empty where none says so."""
    try:
        with open(os.path.join(mail_directory, MARK), encoding="ascii", errors="replace") as file:
            found = _ID.search(file.read(_LONGEST_OCTETS))
    except OSError:
        return ""
    return found[0] if found else ""


def write_mark(mail_directory: str, deployment: str) -> None:
    """Leave a mark, whole or not at all. Raises `OSError`."""
    if read_mark(mail_directory) == deployment:
        return
    path = os.path.join(mail_directory, MARK)
    unfinished = f"{path}.{os.getpid()}"
    try:
        with open(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="ascii"
        ) as file:
            file.write(f"{deployment}\nPeep's mark: docs/backup.md says what for.\n")
        os.rename(unfinished, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise
