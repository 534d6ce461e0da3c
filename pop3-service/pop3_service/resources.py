"""What all connections of one POP3 process share."""

from concurrent.futures import Executor
from dataclasses import dataclass

from pop3_service.maildir import Maildirs
from state_store.authentication import Authenticator
from state_store.instance import LiveInstance
from state_store.passwords import Passwords


@dataclass(frozen=True, slots=True)
class Resources:
    """The process's place in the store, its memory of maildirs and passwords, and threads for the disk."""

    instance: LiveInstance
    maildirs: Maildirs
    passwords: Passwords
    authenticator: Authenticator
    disk_threads: Executor
