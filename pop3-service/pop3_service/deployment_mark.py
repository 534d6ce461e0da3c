"""A mark in the mail directory: the id of the deployment whose users have their mail here.

Mail and store are kept apart, and one may be lost without the other. By the mark a process that starts with
an emptied store knows that there were users, and of which deployment. No user's folder can have its name
(P11).
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterable

import structlog

MARK = ".peep-deployment"

_ID = re.compile(r"[0-9a-f]{40}")
_LONGEST_OCTETS = 1000

log = structlog.get_logger()


def read_mark(mail_directory: str) -> str:
    """Return the id of the deployment that a mail directory belongs to; empty where there is no mark."""
    try:
        with open(os.path.join(mail_directory, MARK), encoding="ascii", errors="replace") as file:
            found = _ID.search(file.read(_LONGEST_OCTETS))
    except OSError:
        return ""
    return found[0] if found else ""


def write_marks(mail_directories: Iterable[str], deployment: str) -> None:
    """Write the mark into each directory; blocks on the disk. Where that fails it is logged."""
    for directory in mail_directories:
        try:
            write_mark(directory, deployment)
        except OSError as error:
            log.warning(
                "no mark of the deployment left: a start beside an emptied store would not be noticed",
                mail_directory=directory,
                reason=str(error.strerror),
            )


def write_mark(mail_directory: str, deployment: str) -> None:
    """Write the mark, whole or not at all. Raises `OSError`."""
    if read_mark(mail_directory) == deployment:
        return
    path = os.path.join(mail_directory, MARK)
    # Not the process's number: processes of two containers on one volume may have the same.
    unfinished = f"{path}.{secrets.token_hex(8)}"
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
