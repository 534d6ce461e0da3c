"""What all connections of one POP3 process share."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from line_server.budget import Allowances
from line_server.deadline import Timers
from pop3_service.disk import DiskThreads
from pop3_service.listing import Listings
from pop3_service.maildir import Maildirs, MessageFile
from pop3_service.moving.moves import Moves
from pop3_service.protocol.policy import Policy
from service_runtime.maildir_layout import MaildirLayout
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.instance.live_instance import LiveInstance


@dataclass(frozen=True, slots=True)
class Pop3Context:
    """The process's instance in the store, its remembered maildirs and passwords, its threads, its policy."""

    instance: LiveInstance
    maildirs: Maildirs
    passwords: Passwords
    authenticator: Authenticator
    disk: DiskThreads
    listings: Listings
    policy: Policy
    tls: Callable[[], ssl.SSLContext] | None
    """The context for the next TLS handshake; None without a certificate."""
    layout: MaildirLayout = field(default_factory=MaildirLayout)
    """Where below the mail directory the maildirs lie."""
    allowances: Allowances = field(default_factory=Allowances)
    """The commands that networks have left before login (D55)."""
    timers: Timers = field(default_factory=Timers)
    """The timers of all sessions."""

    moves: Moves | None = None
    """The moves of users' mail from an old server; None without one."""

    def close(self, file: MessageFile) -> None:
        """Close a message file; one that may lie on a file server is closed in a thread."""
        if file.is_local:
            file.close()
        else:
            self.disk.begin(file.lane, file.close)
