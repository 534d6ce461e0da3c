"""The getmail program (Debian's getmail6) against the service."""

import sys

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, mail_in, require, without_headers
from support.lifelike_mail import MESSAGES, first_difference
from support.pop3_process import PASSWORD

# getmail knows no STLS.
WAYS = [Way.PLAIN, Way.POP3S]

# For each message getmail forks, then makes itself ready to hear of the child's end, then waits for that.
# On a busy machine a child may have ended before: so each one lets its parent come that far first.
HOLD_CHILDREN = """
import os, time
def let_parent_wait():
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with open(f"/proc/{os.getppid()}/stat") as status:
            if status.read().rpartition(")")[2].split()[0] == "S":
                break
        time.sleep(0.0005)
os.register_at_fork(after_in_child=let_parent_wait)
"""


@pytest.fixture(autouse=True)
def _getmail() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux's /proc tells that a process waits")
    require("getmail")


class Getmail:
    """One user's getmail with a maildir of its own."""

    def __init__(self, home: ClientHome, maildrop: LifelikeMaildrop, way: Way) -> None:
        self._home = home
        self._maildir = home.make_maildir("stored")
        host, port = way.address(maildrop.service)
        is_inside_tls = way is Way.POP3S
        self._retriever = [
            "[retriever]",
            f"type = {'SimplePOP3SSLRetriever' if is_inside_tls else 'SimplePOP3Retriever'}",
            f"server = {host}",
            f"port = {port}",
            f"username = {maildrop.username}",
            f"password = {PASSWORD}",
            *([f"ca_certs = {home.ca_file}"] if is_inside_tls else []),
        ]

    def run(self, *, delete: bool = False) -> bytes:
        """Fetch what is new; return what it says about that."""
        self._home.write(
            "getmailrc",
            *self._retriever,
            "[destination]",
            "type = Maildir",
            f"path = {self._maildir}/",
            "[options]",
            "read_all = false",
            f"delete = {delete}",
        )
        self._home.write("sitecustomize.py", HOLD_CHILDREN)
        done = self._home.run("getmail", "--getmaildir", self._home.path, PYTHONPATH=str(self._home.path))
        assert done.returncode == 0, done.stdout[-2000:]
        return done.stdout

    def stored(self) -> list[bytes]:
        """Return what was stored, without the two headers that getmail adds (`delivered_to`, `received`).

        It also writes Return-Path anew, at the top, with what the message's own one says.
        """
        return without_headers(
            mail_in(self._maildir), b"Delivered-To: unknown", b"Received: from 127.0.0.1 (127.0.0.1:"
        )


@pytest.mark.parametrize("way", WAYS)
def test_getmail_keeps_lifelike_messages_then_finds_none_new_then_deletes_them(
    way: Way, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    getmail = Getmail(home, maildrop, way)
    assert b"\n  200 messages (" in getmail.run()
    assert first_difference(getmail.stored()) == ""
    maildrop.expect_kept()
    assert b"\n  0 messages (0 bytes) retrieved, 200 skipped" in getmail.run()
    maildrop.expect_kept()
    getmail.run(delete=True)
    assert first_difference(getmail.stored()) == ""
    maildrop.expect_removed(retrieved=MESSAGES)
