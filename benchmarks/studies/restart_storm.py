"""The first logins after a restart: how many a second, and how long those wait whose passwords are known."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import load
import maildrops
from contenders import site
from load import Load, Run
from peep_server import EVERYBODY, PeepServer
from ratios import Limit, figure, table
from sections import Json, Options, Section, SectionResult
from state_store.repository import StateRepository

KNOWN = 64
"""Users who have logged in since the restart."""

_QUICK_PART = 10
_USERS_A_CONNECTION = 5
LIMIT = 4.0
"""Goal: p99 of a known user's `check` in the storm, to what it is without one."""

_CHECKS = Load("check", connections=16, rate=100, only_users=(0, KNOWN))
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Storm:
    """A known user's `check` without and with the storm, and the first logins a second meanwhile."""

    calm: Run
    stormy: Run
    first_logins_a_second: float

    @property
    def ratio(self) -> float:
        """Return how many times as long p99 is in the storm."""
        return self.stormy.p99_ms / self.calm.p99_ms


def measure(options: Options) -> SectionResult:
    """Measure the same clients without and with a storm of others."""
    users = options.storm_users // _QUICK_PART if options.is_quick else options.storm_users
    connections = max(1, users // _USERS_A_CONNECTION)
    options.progress.plan(2)
    with known_users(options, users) as server:
        storm = measure_storm(options, server, Load("auth", connections, only_users=(KNOWN, users)))
    return SectionResult(_text(storm, users, connections), _figures(storm))


@contextmanager
def known_users(options: Options, others: int) -> Iterator[PeepServer]:
    """Run a server on which `KNOWN` users have logged in since its start, and so many others have not."""
    options.progress.say(f"{KNOWN + others:,} users with argon2id hashes")
    mail = maildrops.small(options.folder / "mail", users=KNOWN + others, messages=2)
    # The storm comes from a few addresses of this machine: as from networks that all users have used.
    with PeepServer(site(options, mail, "peep"), trusted_networks=EVERYBODY) as server:
        options.progress.say(f"first logins of {KNOWN} of them")
        load.run(options, server, Load("auth", is_once=True, only_users=(0, KNOWN)))
        yield server


def measure_storm(
    options: Options, server: PeepServer, first_logins: Load, *, seconds: float = _SECONDS
) -> Storm:
    """Measure known users' checks, then again while others log in for the first time."""
    options.progress.step("known users alone")
    calm = load.run(options, server, _CHECKS, seconds=seconds)
    options.progress.step("known users in a storm of first logins")
    with load.beside(options, server, first_logins):
        before, began = _logins(server), time.monotonic()
        stormy = load.run(options, server, _CHECKS, seconds=seconds)
        logins = _logins(server) - before - stormy.operations
        options.progress.say(f"{logins:,} first logins in {time.monotonic() - began:.0f} s")
        return Storm(calm, stormy, logins / (time.monotonic() - began))


def _logins(server: PeepServer) -> int:
    async def ask() -> int:
        repository = StateRepository(server.store_url)
        try:
            return (await repository.counters()).historical_logins
        finally:
            await repository.close()

    return asyncio.run(ask())


def _figures(storm: Storm) -> dict[str, Json]:
    return {
        "limits": [Limit("p99 of `check` in a restart storm, to the usual", LIMIT, storm.ratio).as_json()],
        "calm": asdict(storm.calm),
        "stormy": asdict(storm.stormy),
        "first_logins_a_second": storm.first_logins_a_second,
    }


def _text(storm: Storm, users: int, connections: int) -> str:
    rows = [
        [name, figure(run.rate), figure(run.p50_ms), figure(run.p99_ms), str(run.failed)]
        for name, run in (("alone", storm.calm), ("in the storm", storm.stormy))
    ]
    head = ["`check` of known users", "a second", "p50, ms", "p99, ms", "failed"]
    law = (
        f"{users:,} users with argon2id hashes log in for the first time, over {connections:,} connections, "
        f"on the one core that the server has: {figure(storm.first_logins_a_second)} a second. Meanwhile "
        f"{KNOWN} users whose passwords are remembered look for mail.\n\n"
    )
    return law + table(head, rows)


SECTION = Section("restart-storm", "First logins after a restart", measure)
