"""Maildirs of tests: as folders, and as a process opens and scans them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pop3_service.maildir import Maildirs
from pop3_service.maildir.mail_directory import MaildirPath
from pop3_service.maildir.maildir import HeldOpen, Maildir
from pop3_service.protocol.maildrop import MaildropContents

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


def deliver(maildir: Path, name: str, content: bytes = b"a\n", folder: str = "new") -> Path:
    """Write a message's file, and return it."""
    file = maildir / folder / name
    file.write_bytes(content)
    return file


def scan(maildir: Path) -> MaildropContents:
    """Scan as another process does: none remembers an earlier scan."""
    return Maildirs().scan(at(maildir))


def unique_ids(contents: MaildropContents) -> list[bytes]:
    """Return the unique-ids of the messages, in their order."""
    return [message.unique_id for message in contents.messages]
