"""The mail of the measurements: lifelike maildrops, one large message, large and small maildrops."""

import itertools
import os
import pwd
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import make_maildirs

MAIL_USER: Final = "nobody"
"""The owner of the mail if this runs as root: servers that drop their privileges must read and remove it."""

USERS: Final = 400
MESSAGES: Final = 20
LARGE_OCTETS: Final = 600_000_000
_SMALL = (
    b"From: a@example.org\nTo: b@example.com\nSubject: small\n\nA message of two lines,\nfor measurements.\n"
)


_deliveries = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Mail:
    """Maildirs of the users u0000 and following, with the number of messages and their octets in all."""

    folder: Path
    users: int
    messages: int
    octets: int


def lifelike(folder: Path) -> Mail:
    """Fill a folder with 400 users of 20 messages, the same on every run."""
    octets = make_maildirs.fill(str(folder), USERS, MESSAGES, 1)
    hand_over(folder)
    return Mail(folder, USERS, USERS * MESSAGES, octets)


def small(folder: Path, users: int, messages: int) -> Mail:
    """Fill a folder with users with `messages` messages of 100 octets each."""
    return growing(folder, [messages] * users)


def growing(folder: Path, sizes: Sequence[int]) -> Mail:
    """Fill a folder with a user for each size, with so many messages of 100 octets."""
    for index, messages in enumerate(sizes):
        maildir = folder / f"u{index:04d}"
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True)
        for number in range(messages):
            (maildir / "cur" / f"{1_700_000_000 + number}.M{number}P{index}.mx1:2,S").write_bytes(_SMALL)
    hand_over(folder)
    octets = (len(_SMALL) + _SMALL.count(b"\n")) * sum(sizes)
    return Mail(folder, len(sizes), sum(sizes), octets)


def large_message(folder: Path) -> Mail:
    """Fill a folder with one user with one message of about 600 MB."""
    mail = small(folder, 1, 0)
    lines = b"".join(b"%07d " % number + b"lorem ipsum dolor sit amet " * 2 + b"\n" for number in range(1000))
    head, repeats = b"Subject: large\n\n", LARGE_OCTETS // (len(lines) + 1000)
    path = folder / "u0000" / "cur" / "1700000000.M0P0.mx1:2,S"
    with path.open("wb") as file:
        file.write(head)
        for _ in range(repeats):
            file.write(lines)
    hand_over(folder)
    return Mail(mail.folder, 1, 1, len(head) + 2 + repeats * (len(lines) + 1000))


def linked_copy(mail: Mail, folder: Path) -> Mail:
    """Return a copy of the mail for another server, so that neither sees what the other moves or indexes."""
    shutil.copytree(mail.folder, folder, copy_function=os.link)
    hand_over(folder)
    return Mail(folder, mail.users, mail.messages, mail.octets)


def messages_of(folder: Path, users: int) -> Iterator[Path]:
    """Return the messages of the first `users` users below a folder of Maildirs."""
    for index in range(users):
        for part in ("new", "cur"):
            yield from (folder / f"u{index:04d}" / part).iterdir()


def refill(pristine: Mail, folder: Path, users: int) -> None:
    """Deliver all messages of the first users again, as new files with names that no server has seen."""
    owner, delivery = _owner(), next(_deliveries)
    for source in messages_of(pristine.folder, users):
        seconds, rest = source.name.split(".", 1)
        name = f"{int(seconds) + 1000 * delivery}.D{delivery}{rest.partition(':')[0]}"
        target = folder / source.parent.parent.name / "new" / name
        shutil.copyfile(source, target)
        if owner is not None:
            os.chown(target, *owner)


def hand_over(folder: Path) -> None:
    """Make `MAIL_USER` the owner of a folder and its content, if this runs as root."""
    owner = _owner()
    if owner is None:
        return
    for root, _, files in os.walk(folder):
        for path in (root, *(os.path.join(root, file) for file in files)):
            os.chown(path, *owner)


def _owner() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam(MAIL_USER)
    return user.pw_uid, user.pw_gid
