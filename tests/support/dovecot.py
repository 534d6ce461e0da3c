"""Debian's Dovecot as a process of the tests: another POP3 server, to compare answers with."""

import ctypes
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

from support.pop3_process import PASSWORD, SECONDS, wait_until
from support.redis_kinds import free_port

PROGRAM: Final = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
"""Where the program is; None where it is not installed."""

# On Debian a package of its own, without which the server starts and serves no POP3.
_POP3_PARTS: Final = ("/usr/lib/dovecot/pop3", "/usr/libexec/dovecot/pop3")

_PR_SET_PDEATHSIG = 1
_START_ATTEMPTS = 3
# Its processes have users of their own, and must come at the folder.
_OPEN_TO_ALL = 0o755

# Its unique-ids are mostly the files' names up to the colon, so they tell which file has which number.
# Indexes stay in memory: a listing then never depends on what an earlier session has seen. There is
# no penalty for wrong passwords: it would make the tests slow, and an answer no different.
_CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
first_valid_uid = {uid}
first_valid_gid = 0
mail_location = maildir:{folder}/mail/{maildir}:INDEX=MEMORY
mail_fsync = never
pop3_uidl_format = {uidl_format}
{settings}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service pop3-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service pop3 {{
  service_count = 0
  process_min_avail = 2
}}
!include_try {folder}/conf.d/*.conf
"""


def is_installed() -> bool:
    """Tell whether the program and its POP3 part are there, in the version that the tests configure."""
    if PROGRAM is None or not any(os.path.exists(path) for path in _POP3_PARTS):
        return False
    return subprocess.check_output([PROGRAM, "--version"]).startswith(b"2.3.")


class DovecotServer:
    """`dovecot -F` on a free loopback port; every user has the tests' password.

    A user's Maildir is the folder of that name in `mail`, or where `maildir` says. What a test writes there
    it gives to the server's user with `hand_over`. `settings` are more lines of its configuration, and so are
    the files in `conf.d` of its `folder`.
    """

    def __init__(self, uidl_format: str = "%g", *settings: str, maildir: str = "%u") -> None:
        self._uidl_format = uidl_format
        self._settings = settings
        self._maildir = maildir
        self.address = ("127.0.0.1", 0)
        self._folder = tempfile.TemporaryDirectory(prefix="peep-dovecot-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.mail = self.folder / "mail"
        (self.folder / "conf.d").mkdir()
        self._log = Path(self._folder.name) / "dovecot.log"
        self._process: subprocess.Popen[bytes] | None = None
        # Started by root it serves no mail as root: then the mail is nobody's. Else it has one user for all.
        self._is_root = os.geteuid() == 0
        self._mail_user = pwd.getpwnam("nobody") if self._is_root else pwd.getpwuid(os.geteuid())

    def __enter__(self) -> Self:
        self.mail.mkdir()
        os.chmod(self._folder.name, _OPEN_TO_ALL)
        self.hand_over(self.mail)
        try:
            for _ in range(_START_ATTEMPTS):  # somebody else may take the port that was free
                if self._start():
                    return self
            raise AssertionError(f"dovecot does not start: {self.log()}")
        except BaseException:
            self._stop()
            raise

    def __exit__(self, *_: object) -> None:
        self._stop()

    def hand_over(self, path: Path) -> None:
        """Make the server's user the owner of a file or folder."""
        if self._is_root:
            os.chown(path, self._mail_user.pw_uid, self._mail_user.pw_gid)

    @property
    def environment(self) -> dict[str, str]:
        """What `doveadm` and `doveconf` need to be those of this server."""
        return {"CONFIG_FILE": str(self.folder / "dovecot.conf")}

    def takes(self, username: str, password: str, port: int = 0) -> bool:
        """Return whether a user can log in, on another port where one is given."""
        try:
            with socket.create_connection((self.address[0], port or self.address[1]), SECONDS) as client:
                replies = client.makefile("rb")
                is_up = replies.readline().startswith(b"+OK")
                client.sendall(f"USER {username}\r\nPASS {password}\r\nQUIT\r\n".encode())
                return is_up and [replies.readline()[:3] for _ in range(2)] == [b"+OK", b"+OK"]
        except ConnectionError:
            return False

    def log(self) -> str:
        """Return what the server has logged so far."""
        return self._log.read_text() if self._log.exists() else ""

    def _start(self) -> bool:
        assert PROGRAM is not None, "dovecot is installed"
        configuration = self._configure()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-F", "-c", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
                preexec_fn=_end_with_parent,  # noqa: PLW1509
            )
        wait_until(self._is_up_or_gone, "dovecot greets, or ends")
        return self._process.poll() is None

    def _configure(self) -> Path:
        self.address = ("127.0.0.1", free_port())
        user = self._mail_user
        configuration = Path(self._folder.name) / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=self._folder.name,
                uidl_format=self._uidl_format,
                maildir=self._maildir,
                settings="\n".join(self._settings),
                internal_user="dovecot" if self._is_root else user.pw_name,
                internal_group="dovecot" if self._is_root else grp.getgrgid(os.getegid()).gr_name,
                login_user="dovenull" if self._is_root else user.pw_name,
                uid=user.pw_uid,
                gid=user.pw_gid,
                password=PASSWORD,
                port=self.address[1],
            )
        )
        return configuration

    def _is_up_or_gone(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        try:
            with socket.create_connection(self.address, timeout=SECONDS) as client:
                return client.recv(3) == b"+OK"
        except ConnectionError:
            return False

    def _stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(SECONDS)
            finally:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()


def _end_with_parent() -> None:
    """Let the server end when the tests are killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
