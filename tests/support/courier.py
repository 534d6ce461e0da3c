"""Debian's Courier POP3 server, one process a session, over pipes.

Its package conflicts with Dovecot's, so `make courier` unpacks it into a folder instead of installing it.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.old_mail import Announced, announced
from support.pop3_process import SECONDS

FOLDER = Path(__file__).parents[2] / "build" / "courier"
PROGRAM = FOLDER / "usr/lib/courier/courier/courierpop3d"
LIBRARIES = (FOLDER / "usr/lib", *FOLDER.glob("usr/lib/*-linux-gnu"))


def is_unpacked() -> bool:
    """Return whether the server is there."""
    return PROGRAM.exists()


def courier_session(maildir: Path, deleted: Sequence[int] = ()) -> list[Announced]:
    """Log in to a maildir, list it, delete the messages with these numbers, and return what was listed."""
    commands = ["UIDL", "LIST", *(f"DELE {number}" for number in deleted), "QUIT"]
    done = subprocess.run(
        [PROGRAM, maildir],
        input="".join(f"{command}\r\n" for command in commands).encode(),
        capture_output=True,
        env={
            "LD_LIBRARY_PATH": ":".join(map(str, LIBRARIES)),
            "AUTHENTICATED": maildir.name,
            "TCPREMOTEIP": "127.0.0.1",
            "PATH": os.environ["PATH"],
        },
        timeout=SECONDS,
        check=True,
    )
    lines = iter(done.stdout.splitlines())
    assert next(lines).startswith(b"+OK"), done
    listings = []
    for _ in range(2):
        assert next(lines).startswith(b"+OK"), done
        listings.append(list(iter(lines.__next__, b".")))
    assert all(line.startswith(b"+OK") for line in lines), done
    return announced(*listings)
