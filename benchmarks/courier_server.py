"""Courier's POP3 server for the measurements."""

import pwd
from typing import ClassVar, Final

import private_folders
from maildrops import MAIL_USER
from servers import Server, free_port

LISTENER: Final = (
    "/usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=2000 -maxperip=2000 -nodnslookup -noidentlookup"
)
"""Courier's listener, which starts a process for each connection."""

DES_HASH: Final = "abNANd1rDfiNc"  # gitleaks:allow
"""crypt(3) of the users' password, with its cheapest method."""

_AUTHENTICATION = """\
authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=5
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
"""
_BEGIN = """
mkdir -p /run/courier/authdaemon
chmod 600 /etc/courier/userdb
/usr/sbin/makeuserdb
/usr/lib/courier/courier-authlib/authdaemond &
while [ ! -S /run/courier/authdaemon/socket ]; do sleep 0.1; done
export AUTHMODULES=authuserdb MAILDIRPATH=Maildir POP3AUTH=
exec {listener} {port} /usr/lib/courier/courier/courierpop3login /usr/lib/courier/courier/courierpop3d Maildir
"""


class CourierServer(Server):
    """Courier with its database of users (gdbm): a process for each session."""

    name: ClassVar[str] = "Courier"

    def start(self) -> None:
        """Unpack, configure and start it."""
        self.port = free_port()
        files = {"etc/courier/authdaemonrc": _AUTHENTICATION, "etc/courier/userdb": self._users()}
        begin = _BEGIN.format(listener=LISTENER, port=self.port)
        self.spawn(
            private_folders.command(
                self.site.folder, self.site.programs / private_folders.UNPACKED, files, begin
            )
        )
        self.await_greeting()

    def _users(self) -> str:
        user = pwd.getpwnam(MAIL_USER)
        lines = []
        for index in range(self.site.users):
            maildir = self.site.mail / f"u{index:04d}"
            fields = f"home={maildir}|mail={maildir}|uid={user.pw_uid}|gid={user.pw_gid}|systempw={DES_HASH}"
            lines.append(f"u{index:04d}\t{fields}\n")
        return "".join(lines)
