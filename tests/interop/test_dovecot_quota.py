"""Dovecot's delivery agent, with a Maildir++ quota, and Peep share a maildir."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clients import lack
from support.pop3_process import Pop3Process
from support.redis_server import RedisServer

AGENTS = ("/usr/lib/dovecot/dovecot-lda", "/usr/libexec/dovecot/dovecot-lda")
QUOTA_MESSAGES = 5
EX_NOPERM = 77
SECONDS = 30
OPEN_TO_ALL = 0o755

CONFIGURATION = """\
log_path = {folder}/lda.log
base_dir = {folder}/run
state_dir = {folder}/state
ssl = no
first_valid_uid = 1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_location = maildir:{maildir}:INDEX=MEMORY
mail_plugins = quota
postmaster_address = postmaster@example.org
sendmail_path = /bin/false
plugin {{
  quota = maildir:User quota
  quota_rule = *:messages={messages}
}}
"""


class Agent:
    """`dovecot-lda` for the maildir of one user of the service; run as an ordinary user."""

    def __init__(self, program: str, folder: Path, maildir: Path) -> None:
        self._program = program
        self._folder = folder
        self.maildir = maildir
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._configuration = folder / "dovecot.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                folder=folder,
                maildir=maildir,
                user=self._user.pw_name,
                group=self._group(),
                messages=QUOTA_MESSAGES,
            )
        )
        for path in (folder, maildir, *maildir.rglob("*")):
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _group(self) -> str:
        return subprocess.check_output(["id", "-gn", self._user.pw_name], text=True, timeout=SECONDS).strip()

    def deliver(self, text: str) -> int:
        """Deliver a message and return the exit code."""
        is_root = os.geteuid() == 0
        return subprocess.run(
            [self._program, "-c", str(self._configuration), "-e", "-f", "sender@example.com"],
            input=f"Subject: {text}\n\n{text}\n".encode(),
            env={"HOME": str(self._folder), "USER": self._user.pw_name, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=SECONDS,
            check=False,
            user=self._user.pw_uid if is_root else None,
            group=self._user.pw_gid if is_root else None,
            extra_groups=[] if is_root else None,
        ).returncode

    def counted(self) -> tuple[int, int]:
        """Return the octets and messages that the maildir holds by its `maildirsize`."""
        _, *changes = (self.maildir / "maildirsize").read_text().splitlines()
        pairs = [tuple(map(int, change.split())) for change in changes]
        return sum(octets for octets, _ in pairs), sum(messages for _, messages in pairs)


@pytest.fixture(scope="module")
def service() -> Iterator[Pop3Process]:
    """Give a service whose mail lies outside the tests' own folder, which nobody else may enter."""
    with tempfile.TemporaryDirectory(prefix="peep-lda-") as name, RedisServer() as redis_server:
        os.chmod(name, OPEN_TO_ALL)
        with Pop3Process(redis_server.url, Path(name).resolve()) as process:
            yield process


@pytest.fixture
def agent(service: Pop3Process) -> tuple[Agent, str]:
    """Give an agent and the user of the service for whom it delivers."""
    program = next((path for path in AGENTS if os.path.exists(path)), None)
    if program is None:
        lack("dovecot-lda")
    username = service.add_user()
    folder = service.mail.parent / f"{username}-agent"
    folder.mkdir()
    return Agent(program, folder, service.mail / username), username


def remove_all(service: Pop3Process, username: str) -> int:
    """Remove all of a user's messages over POP3; return how many there were."""
    client = service.log_in(username)
    messages = int(client.ask("STAT").split()[1])
    for number in range(1, messages + 1):
        assert client.ask(f"DELE {number}").startswith(b"+OK")
    assert client.quit().startswith(b"+OK")
    return messages


def test_what_was_removed_over_pop3_is_delivered_again_up_to_the_quota(
    service: Pop3Process, agent: tuple[Agent, str]
) -> None:
    lda, username = agent
    for round_number in range(3):
        codes = [lda.deliver(f"message {number}") for number in range(QUOTA_MESSAGES + 1)]
        assert codes == [0] * QUOTA_MESSAGES + [EX_NOPERM], f"round {round_number}"
        assert remove_all(service, username) == QUOTA_MESSAGES
        assert lda.counted() == (0, 0)


def test_a_count_that_is_too_old_is_made_anew_by_the_next_delivery(
    service: Pop3Process, agent: tuple[Agent, str]
) -> None:
    lda, username = agent
    assert [lda.deliver("one") for _ in range(QUOTA_MESSAGES)] == [0] * QUOTA_MESSAGES
    count = lda.maildir / "maildirsize"
    os.utime(count, (count.stat().st_mtime - 3600,) * 2)
    assert remove_all(service, username) == QUOTA_MESSAGES
    assert not count.exists()
    assert lda.deliver("two") == 0
    assert lda.counted()[1] == 1
