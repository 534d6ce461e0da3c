"""`unique-ids import` killed between any two of its steps: no half file, and it can be run again."""

import subprocess
import sys
from pathlib import Path

import pytest

from pop3_service.maildir import Maildirs
from pop3_service.old_unique_ids.importing import Choices, Importer
from service_runtime.maildir_layout import MaildirLayout
from support.maildir_files import at

# Ends the process as SIGKILL does, at the call with this number of those that change something on the disk.
KILLED_AT = """
import os, sys
left = int(sys.argv[1])
def killing(call):
    def count(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return call(*arguments, **options)
    return count
from pop3_service.old_unique_ids import command
for name in ("fchmod", "fsync", "link", "rename", "unlink"):
    setattr(os, name, killing(getattr(os, name)))
sys.exit(command.main(["import", *sys.argv[2:]]))
"""
COPY = b"1.a\tUID7-5\n"
OLDER = b"1.a\tolder\n"
KILLED, MOST_STEPS = 9, 20


@pytest.mark.parametrize("arguments", [(), ("--replace",)], ids=["first", "replacing"])
def test_an_import_that_is_killed_anywhere_can_be_run_again(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    maildir = tmp_path / "alice"
    for folder in ("new", "cur"):
        (maildir / folder).mkdir(parents=True)
    (maildir / "cur" / "1.a:2,S").write_bytes(b"mail\n")
    (maildir / "courierpop3dsizelist").write_bytes(b"/3 9 5\n1.a 6 7:5:0\n")
    noted = maildir / "peep-unique-ids"
    seen = set()
    for step in range(MOST_STEPS):
        noted.unlink(missing_ok=True)
        if arguments:
            noted.write_bytes(OLDER)
        done = subprocess.run(
            [sys.executable, "-c", KILLED_AT, str(step), *arguments],
            env={"PEEP_MAIL_DIR": str(tmp_path)},
            stdout=subprocess.DEVNULL,
            timeout=40,
            check=False,
        )
        left = noted.read_bytes() if noted.exists() else None
        assert left in (None, COPY) if not arguments else left in (OLDER, COPY)
        (message,) = Maildirs().scan(at(maildir)).messages
        assert message.unique_id == {None: b"1.a", OLDER: b"older", COPY: b"UID7-5"}[left]
        again = Importer(str(tmp_path), MaildirLayout(), [], Choices(replace=bool(arguments)))
        assert again.run("alice").is_well
        assert noted.read_bytes() == COPY
        seen.add(left)
        if done.returncode == 0:
            break
        assert done.returncode == KILLED
    assert done.returncode == 0, "it never came to its end"
    assert len(seen) == 2, "it was killed before and after the copy was there"
