"""Dovecot 2.3 for the measurements, configured to be as fast as we know how."""

import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from maildrops import MAIL_USER
from peep_server import PASSWORD, argon2id_hash
from servers import Server, ServerError, free_port

_SEARCHED: Final = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
_POP3_PARTS: Final = ("/usr/lib/dovecot/pop3", "/usr/libexec/dovecot/pop3")

# The high-performance mode of Dovecot's documentation: login and mail processes serve one connection after
# the other, and one login process has them all. Lookups come from a file in memory and from the cache, a
# user's folder comes with the password (prefetch), indexes with sizes are on disk beside the mail, nothing
# is synced, and no flag is written when mail is read.
CONFIGURATION: Final = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0
auth_cache_size = 100M
auth_cache_ttl = 1 hour
auth_verbose = no
mail_location = maildir:~
mail_fsync = never
mail_max_userip_connections = 0
pop3_no_flag_updates = yes
pop3_lock_session = no
first_valid_uid = 1
default_idle_kill = 1 hour
default_client_limit = {connections}
default_process_limit = {connections}
default_vsz_limit = 4G
passdb {{
  driver = passwd-file
  args = {folder}/passwd
}}
userdb {{
  driver = prefetch
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service auth {{
  client_limit = {auth_clients}
}}
service pop3-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = {connections}
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
  process_min_avail = 16
  process_limit = {connections}
  client_limit = {clients_a_process}
}}
"""
_CONNECTIONS: Final = 12_000


class DovecotServer(Server):
    """Dovecot with plain-text passwords: its best case."""

    name: ClassVar[str] = "Dovecot 2.3"
    clients_a_process: ClassVar[int] = 1
    configuration: ClassVar[str] = CONFIGURATION

    def start(self) -> None:
        """Write the configuration and start the server."""
        self.port = free_port()
        self._write_users()
        configuration = self.site.folder / "dovecot.conf"
        configuration.write_text(
            self.configuration.format(
                folder=self.site.folder,
                port=self.port,
                connections=_CONNECTIONS,
                auth_clients=2 * _CONNECTIONS,
                clients_a_process=self.clients_a_process,
            )
        )
        self.spawn(self.command(configuration))
        self.await_greeting()

    def command(self, configuration: Path) -> Sequence[str | Path]:
        """Return the command that starts it. Raises `ServerError` where it is not available."""
        program = shutil.which("dovecot", path=_SEARCHED)
        if program is None or not any(Path(part).exists() for part in _POP3_PARTS):
            raise ServerError("Dovecot is not installed (Debian: apt install dovecot-core dovecot-pop3d)")
        version = subprocess.check_output([program, "--version"], text=True)
        if not version.startswith("2.3."):
            raise ServerError(f"Dovecot {version.strip()} is not 2.3, which the configuration is for")
        return [program, "-F", "-c", configuration]

    def log(self) -> str:
        """Return the last line of the log that reports an error."""
        path = self.site.folder / "dovecot.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        wrong = [line for line in lines if "Info:" not in line]
        return wrong[-1] if wrong else super().log()

    def password_field(self) -> str:
        """Return the password for the password file, with its scheme."""
        return f"{{PLAIN}}{PASSWORD}"

    def _write_users(self) -> None:
        user, password = pwd.getpwnam(MAIL_USER), self.password_field()
        with (self.site.folder / "passwd").open("w") as file:
            for index in range(self.site.users):
                name = f"u{index:04d}"
                ids = f"userdb_uid={user.pw_uid} userdb_gid={user.pw_gid}"
                file.write(f"{name}:{password}::::::{ids} userdb_home={self.site.mail}/{name}\n")


class DovecotArgonServer(DovecotServer):
    """Dovecot with the same hashes as Peep. Its cache avoids the lookup but not the check."""

    name: ClassVar[str] = "Dovecot 2.3, argon2id"

    def password_field(self) -> str:
        """Return one hash for all users, as Peep has one for all."""
        return f"{{ARGON2ID}}{argon2id_hash()}"


class DovecotSharedServer(DovecotServer):
    """Dovecot with many sessions in one mail process, which is not its default."""

    name: ClassVar[str] = "Dovecot 2.3, shared"
    clients_a_process: ClassVar[int] = 1_000
