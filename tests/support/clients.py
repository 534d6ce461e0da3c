"""Programs that fetch mail, each run with a home of its own and nothing else of this machine's settings."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

import pytest

from support.certificates import Authority
from support.lifelike_mail import MESSAGES, deliver, lifelike_mail
from support.maildir_files import NOBODY
from support.pop3_process import Pop3Process, wait_until

# Far above what fetching takes on a busy machine, and below the time limit of a test.
_RUN_SECONDS = 55


class Way(StrEnum):
    """How a client's octets travel."""

    PLAIN = "plain"
    STLS = "stls"
    POP3S = "pop3s"

    def address(self, service: Pop3Process) -> tuple[str, int]:
        """Return where `service` takes clients of this kind."""
        return service.tls_address if self is Way.POP3S else service.address


def require(*programs: str) -> None:
    """Skip the test where one of `programs` is missing; where clients are obligatory, fail."""
    for program in programs:
        if shutil.which(program) is None:
            lack(program)


def lack(what: str) -> NoReturn:
    """Skip the test for want of something of a client's; where clients are obligatory, fail."""
    if os.environ.get("CI") or os.environ.get("PEEP_REQUIRE_CLIENTS"):
        pytest.fail(f"{what} is not installed, and this run has to have it")
    pytest.skip(f"{what} is not installed")


class ClientHome:
    """The home folder of one run of a client, which runs as an ordinary user even where tests are root.

    Some clients refuse to deliver mail as root.
    """

    def __init__(self, path: Path, authority: Authority) -> None:
        self.path = path
        self._is_root = os.geteuid() == 0
        self.ca_file = authority.ca_file(path)
        self._give_away(path)
        self._give_away(self.ca_file)

    def _give_away(self, path: Path) -> None:
        if self._is_root:
            os.chown(path, NOBODY, NOBODY)

    def write(self, name: str, *lines: str) -> Path:
        """Write a file that only its owner may read: some clients insist on that."""
        path = self.path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        path.chmod(0o600)
        self._give_away(path)
        return path

    def make_folder(self, name: str) -> Path:
        """Make a folder and return its path."""
        path = self.path / name
        path.mkdir()
        self._give_away(path)
        return path

    def make_maildir(self, name: str) -> Path:
        """Make an empty maildir and return its path."""
        path = self.make_folder(name)
        for folder in ("new", "cur", "tmp"):
            self.make_folder(f"{name}/{folder}")
        return path

    def run(self, *command: str | Path, **environment: str) -> "subprocess.CompletedProcess[bytes]":
        """Run a program to its end, its two outputs in one."""
        always = {"HOME": str(self.path), "TMPDIR": str(self.path), "PATH": os.environ["PATH"], "LC_ALL": "C"}
        return subprocess.run(
            command,
            cwd=self.path,
            env={**always, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=NOBODY if self._is_root else None,
            group=NOBODY if self._is_root else None,
            extra_groups=[] if self._is_root else None,
            timeout=_RUN_SECONDS,
            check=False,
        )


def files_in(*folders: Path) -> list[bytes]:
    """Return what the files of these folders hold, by the files' names."""
    return [path.read_bytes() for folder in folders for path in sorted(folder.iterdir())]


def mail_in(maildir: Path) -> list[bytes]:
    """Return the messages of a maildir that a client delivered to."""
    return files_in(maildir / "new", maildir / "cur")


def without_headers(messages: Iterable[bytes], *openings: bytes) -> list[bytes]:
    """Return messages without the headers that a client adds, each known by how its first line begins.

    Fails unless every message has every one of them exactly once, continuation lines included.
    """
    return [_without_headers(message, openings) for message in messages]


def _without_headers(message: bytes, openings: tuple[bytes, ...]) -> bytes:
    head, blank, body = message.partition(b"\n\n")
    head += b"\n"
    for opening in openings:
        header = rb"^%b[^\n]*\n(?:[ \t][^\n]*\n)*" % re.escape(opening)
        head, found = re.subn(header, b"", head, flags=re.MULTILINE)
        assert found == 1, f"{opening!r} stands {found} times in {head[:500]!r}"
    return head[:-1] + blank + body


class LifelikeMaildrop:
    """A user of the service with the 200 lifelike messages, and what the service has counted since."""

    def __init__(self, service: Pop3Process) -> None:
        self.service = service
        self.username = service.add_user()
        self._maildir = service.mail / self.username
        deliver(self._maildir)
        self._counted_before = self._counted()

    def _counted(self) -> tuple[int, int]:
        # Of the messages only: how many connections a client makes is its own affair.
        counters = self.service.counters()
        return counters.retrieved_emails, counters.removed_emails

    def _expect_counted(self, *changes: int) -> None:
        wanted = tuple(map(sum, zip(self._counted_before, changes, strict=True)))
        wait_until(lambda: self._counted() == wanted, f"{wanted}, but {self._counted()}")

    def expect_kept(self, *, retrieved: int = MESSAGES) -> None:
        """See that all files are as they were, and that so many messages were counted as retrieved."""
        left = {path.relative_to(self._maildir).as_posix() for path in self._maildir.glob("[nc]*/*")}
        assert left == {f"{message.place}/{message.name}" for message in lifelike_mail()}
        self._expect_counted(retrieved, 0)

    def expect_removed(self, *, retrieved: int = MESSAGES) -> None:
        """See that the maildrop is empty, and that this and so many retrieved messages were counted."""
        assert self.service.files(self.username) == []
        self._expect_counted(retrieved, MESSAGES)

    def discard(self) -> None:
        """Delete what is left: megabytes, in a folder that pytest keeps for a while."""
        shutil.rmtree(self._maildir)
