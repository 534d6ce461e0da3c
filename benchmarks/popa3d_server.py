"""popa3d for the measurements. It has no Maildirs: the same messages are in mbox files."""

import grp
import os
from pathlib import Path
from typing import ClassVar, Final

import private_folders
from courier_server import DES_HASH, LISTENER
from maildrops import Mail
from servers import Server, free_port

_FIRST_USER_ID: Final = 70_000
_POSTMARK: Final = b"From sender@example.org Mon Mar  2 10:00:00 2026\n"
_AUTHENTICATION = "auth required pam_unix.so\naccount required pam_permit.so\n"
# Its own daemon only has port 110 on all addresses; so it runs behind a listener. It goes into an empty root.
_BEGIN = """
mount --bind {mboxes} /var/mail
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/popa3d
exec {listener} {port} /usr/sbin/popa3d
"""


class Popa3dServer(Server):
    """popa3d with system accounts, in a passwd file of its own: a process for each session."""

    name: ClassVar[str] = "popa3d"

    def start(self) -> None:
        """Unpack, configure and start it."""
        self.port = free_port()
        self._mboxes.mkdir()
        group = grp.getgrnam("mail").gr_gid
        os.chown(self._mboxes, 0, group)
        self._mboxes.chmod(0o1775)
        self._write_mboxes(self.site.mail, self.site.users)
        files = {
            "etc/pam.d/popa3d": _AUTHENTICATION,
            "etc/passwd": Path("/etc/passwd").read_text() + self._accounts(group),
            "etc/shadow": "".join(
                f"u{index:04d}:{DES_HASH}:19000::::::\n" for index in range(self.site.users)
            ),
        }
        begin = _BEGIN.format(listener=LISTENER, port=self.port, mboxes=self._mboxes)
        self.spawn(
            private_folders.command(
                self.site.folder, self.site.programs / private_folders.UNPACKED, files, begin
            )
        )
        self.await_greeting()

    def refill(self, pristine: Mail, users: int) -> None:
        """Deliver all messages of the first `users` users again."""
        self._write_mboxes(pristine.folder, users)

    def left_over(self, users: int) -> int:
        """Return how many mbox files of the first `users` users are not empty."""
        return sum(1 for index in range(users) if (self._mboxes / f"u{index:04d}").stat().st_size > 0)

    @property
    def _mboxes(self) -> Path:
        return self.site.folder / "mboxes"

    def _accounts(self, group: int) -> str:
        own = "popa3d:x:64998:65534::/usr/share/popa3d:/bin/false\n"
        users = (f"u{n:04d}:x:{_FIRST_USER_ID + n}:{group}::/:/bin/sh\n" for n in range(self.site.users))
        return own + "".join(users)

    def _write_mboxes(self, maildirs: Path, users: int) -> None:
        group = grp.getgrnam("mail").gr_gid
        for index in range(users):
            messages = sorted(maildirs.glob(f"u{index:04d}/*/*"), key=lambda path: path.name)
            mbox = self._mboxes / f"u{index:04d}"
            mbox.write_bytes(b"".join(_POSTMARK + path.read_bytes() + b"\n" for path in messages))
            os.chown(mbox, _FIRST_USER_ID + index, group)
            mbox.chmod(0o660)
