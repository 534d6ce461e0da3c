"""Peep for the measurements: POP3 workers and the embedded Valkey."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import argon2

from peepctl.up.embedded import EmbeddedServer
from servers import Server, Site
from service_runtime.processors import usable_processors
from state_store.audit import Actor, Door
from state_store.credentials.passwords import MEMORY_KIBIBYTES, Passwords
from state_store.records import Credential
from state_store.repository import StateRepository

PASSWORD = "secret"  # noqa: S105 - what popbench sends
CONNECTIONS = 20_000
"""The limit `c=` during the measurements."""

BENCHMARK = Actor("benchmark", Door.MACHINE)
"""Who adds users and changes settings, for the audit."""

EVERYBODY = "127.0.0.0/8"
"""The clients' network, for `trusted_networks`: so many first logins at once are refused where they come from
addresses that their users have not used lately."""

_AT_ONCE = 200


class PeepServer(Server):
    """Peep as `make up` runs it, without the services that POP3 does not need.

    With `has_cheap_hashes` the users' hashes take microseconds to check in place of 20 ms, for measurements
    that log in thousands of users once and are about something else.
    """

    name: ClassVar[str] = "Peep"

    def __init__(
        self, site: Site, *, workers: int = 1, has_cheap_hashes: bool = False, trusted_networks: str = ""
    ) -> None:
        super().__init__(site)
        self._trusted_networks = trusted_networks
        self._workers = workers
        self._has_cheap_hashes = has_cheap_hashes
        self._valkey = EmbeddedServer(site.folder / "data")

    def start(self) -> None:
        """Start Valkey, add the users, then start the service."""
        self._valkey.start()
        assert self._valkey.process_id is not None
        self.account.add(self._valkey.process_id)
        asyncio.run(self._add_users())
        ready_read, ready_write = os.pipe()
        try:
            self.spawn(
                [sys.executable, "-m", "pop3_service"],
                env=self._environment(ready_write),
                pass_fds=[ready_write],
            )
        finally:
            os.close(ready_write)
        with open(ready_read) as ready:
            line = ready.readline()
        self.port = int(line.rpartition(":")[2] or 0)
        self.await_greeting()

    @property
    def store_url(self) -> str:
        """The address of its Valkey."""
        return self._valkey.url

    def store_cpu_seconds(self) -> float:
        """Return the CPU time of Valkey."""
        nanoseconds = Path(f"/proc/{self._valkey.process_id}/schedstat").read_text().split()[0]
        return int(nanoseconds) / 1e9

    def end(self) -> None:
        """Stop Valkey."""
        self._valkey.stop()

    def _environment(self, ready: int) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}
        return {
            **inherited,
            "PEEP_REDIS_URL": self._valkey.url,
            "PEEP_MAIL_DIR": str(self.site.mail),
            "PEEP_POP3_WORKERS": str(self._workers),
            "PEEP_POP3_HOST": "127.0.0.1",
            "PEEP_POP3_PORT": "0",
            "PEEP_DRAIN_SECONDS": "0",
            "PEEP_TRUSTED_NETWORKS": self._trusted_networks,
            "PEEP_READY_FD": str(ready),
        }

    async def _add_users(self) -> None:
        repository = StateRepository(self._valkey.url)
        await repository.change_settings(by=BENCHMARK, max_connections=CONNECTIONS)
        credential = await _credential(self._has_cheap_hashes)
        for first in range(0, self.site.users, _AT_ONCE):
            names = (f"u{index:04d}" for index in range(first, min(first + _AT_ONCE, self.site.users)))
            await asyncio.gather(*(repository.add_user(name, credential, by=BENCHMARK) for name in names))
        await repository.close()


async def _credential(is_cheap: bool) -> Credential:
    # All users have the same one: hashing hundreds would take a while and change nothing.
    passwords = Passwords(usable_processors())
    credential = await passwords.new_credential(PASSWORD)
    passwords.close()
    if is_cheap:
        hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        return replace(credential, password_hash=hasher.hash(PASSWORD))
    return credential


def argon2id_hash() -> str:
    """Return a hash of the users' password as Peep makes it: 19 MiB, 2 passes, 1 lane."""
    return argon2.PasswordHasher(time_cost=2, memory_cost=MEMORY_KIBIBYTES, parallelism=1).hash(PASSWORD)
