"""Dovecot 2.4 for the measurements: packages of Debian testing, laid over the system for it alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import private_folders
from dovecot_server import DovecotServer

# What the older one's configuration says, in the newer syntax.
_CONFIGURATION: Final = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = pop3
listen = 127.0.0.1
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = plain
auth_failure_delay = 0
auth_cache_size = 100M
auth_cache_ttl = 1 hour
auth_verbose = no
mail_driver = maildir
mail_path = ~/
mail_fsync = never
mail_max_userip_connections = 0
pop3_no_flag_updates = yes
pop3_lock_session = no
first_valid_uid = 1
default_idle_kill_interval = 1 hour
default_client_limit = {connections}
default_process_limit = {connections}
default_vsz_limit = 4G
passdb passwd-file {{
  passwd_file_path = {folder}/passwd
}}
userdb prefetch {{
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
  restart_request_count = unlimited
  process_min_avail = 1
  process_limit = 1
  client_limit = {connections}
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service pop3 {{
  restart_request_count = unlimited
  process_min_avail = 16
  process_limit = {connections}
  client_limit = {clients_a_process}
}}
"""
# Its own folder takes the place of an installed one's, whose modules fit the other version.
_BEGIN: Final = """
mount --bind {unpacked}/usr/lib/dovecot /usr/lib/dovecot
exec /usr/sbin/dovecot -F -c {configuration}
"""


class DovecotNextServer(DovecotServer):
    """Dovecot 2.4 with plain-text passwords: as fast as we know how."""

    name: ClassVar[str] = "Dovecot 2.4"
    configuration: ClassVar[str] = _CONFIGURATION

    def command(self, configuration: Path) -> Sequence[str | Path]:
        """Return the command that starts it with the newer packages in its view of the system alone."""
        unpacked = self.site.programs / private_folders.UNPACKED_TESTING
        begin = _BEGIN.format(unpacked=unpacked, configuration=configuration)
        return private_folders.command(self.site.folder, unpacked, {}, begin)


class DovecotNextSharedServer(DovecotNextServer):
    """Dovecot 2.4 with many sessions in one mail process."""

    name: ClassVar[str] = "Dovecot 2.4, shared"
    clients_a_process: ClassVar[int] = 1_000
