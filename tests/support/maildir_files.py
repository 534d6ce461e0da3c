"""A maildir whose permission bits bind the tests, whoever runs them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pop3_service.maildir.mail_directory import MaildirPath
from pop3_service.maildir.maildir import HeldOpen, Maildir

NOBODY = 65534


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """Give a maildir of an ordinary user's and act as that user: permission bits do not bind root."""
    with tempfile.TemporaryDirectory() as name:
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(name, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            for folder in ("new", "cur"):
                (Path(name) / folder).mkdir()
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)


def at(path: Path) -> Maildir:
    """Return the maildir at `path`, not opened yet; nothing need be there."""
    return Maildir(MaildirPath(os.fsencode(path.parent), os.fsencode(path.name)), HeldOpen())


def opened(path: Path) -> Maildir:
    """Return the maildir at `path`, held open."""
    maildir = at(path)
    maildir.open()
    return maildir
