"""Every replica is replaced while clients fetch and delete, by the commands that docs/scale.md tells."""

import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from support.containers import require_engine
from support.documentation import commands
from support.fault_checker import FinalState, counted, message_files
from support.fault_client import FaultClient
from support.fault_log import LEASE_SECONDS, SessionLog, Span
from support.fault_world import FIRST_MESSAGES, FaultWorld, Schedule
from support.pop3_process import wait_until
from support.scaled_containers import REPLICAS, ScaledContainers

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

MASTER_IS_REPLACED_SECONDS = 20.0
"""The sentinels wait 5 s before they call a master down, vote, and wait for the replica's promotion."""

ENDINGS_OF_ITS_OWN = {"quit", "client closed without QUIT"}
"""How a session of a polite client ends that nobody hindered."""

STORE_AWAY = "-ERR [SYS/TEMP] the server's state is out of reach"

MAIL = ("deliver",) * 6 + ("move_to_cur",)
WHOLE = Schedule("rolling-upgrade", ("upgrade",), mail=MAIL, seconds=500.0, is_polite=True)
FAILOVER = Schedule(
    "rolling-upgrade-with-failover", ("upgrade",), ("fail_over",), mail=MAIL, seconds=500.0, is_polite=True
)


class Upgrade(FaultWorld):
    """50 clients, each with a maildrop of its own, and what is done to the containers meanwhile."""

    usernames = [f"user{number:02}" for number in range(50)]  # noqa: RUF012 - as in the base class
    client_count = 50
    settled_seconds = 60.0  # to compare a thousand sessions with two thousand messages takes seconds itself

    def __init__(self, containers: ScaledContainers, schedule: Schedule, seed: int) -> None:
        super().__init__(containers.mail, schedule, seed, schedule.seconds)
        self._containers = containers
        self.mail = containers.mail
        self._old = containers.replicas("pop3-service")
        self._has_failed_over = False

    def run(self) -> None:
        """Start with full maildrops and with what was counted before; then see `FaultWorld`."""
        draws = self._draws("first mail")
        for username in self.usernames:
            for path in (self.mail / username).glob("[nc][eu][wr]/*"):
                path.unlink()
            for _ in range(FIRST_MESSAGES):
                self.deliver(draws, username)
        self._before = self._containers.counters()
        super().run()

    def endings(self) -> Counter[str]:
        """Return how the clients' sessions ended, and how many did so."""
        return Counter(session.ending for session in self.log.sessions)

    def is_due_to_failover(self, session: SessionLog) -> bool:
        """Whether docs/redis.md foresees this ending of a session: no state, or the lock of a closed one."""
        if "-ERR [SYS/TEMP]" in session.ending:
            return True
        back = max((outage.end for outage in self.log.outages), default=0.0)
        return (
            "-ERR [IN-USE]" in session.ending
            and session.pass_sent is not None
            and session.pass_sent < back + LEASE_SECONDS
        )

    # What befalls the containers

    def upgrade(self, draws: random.Random) -> None:
        """Replace all replicas, while the clients go on."""
        before = {service: set(self._containers.replicas(service)) for service in REPLICAS}
        began = time.monotonic()
        self._containers.run_commands(commands("scale.md", "upgrade"))
        self.log.tell(f"all replicas are replaced, in {time.monotonic() - began:.1f} s")
        for service, number in REPLICAS.items():
            now = set(self._containers.replicas(service))
            if len(now) != number or now & before[service]:
                self.log.complaints.append(f"{service}: {before[service]} became {now}")
        self._ending.set()

    def fail_over(self, draws: random.Random) -> None:
        """Kill the master once, as soon as the first replica of POP3 is gone and the second is on its way."""
        if self._has_failed_over or set(self._old) <= set(self._containers.replicas("pop3-service")):
            return
        self._has_failed_over = True
        first = self._containers.master()
        with self._outage(f"{first}, the master, is killed"):
            container, began = self._containers.container(first), time.monotonic()
            self._containers.docker("kill", container)
            self.log.failovers.append(Span(began, time.monotonic()))
            try:
                wait_until(
                    lambda: self._containers.master() != first, "another is named", MASTER_IS_REPLACED_SECONDS
                )
                self.log.tell(f"{self._containers.master()} is the master")
                wait_until(self._containers.is_administered, "administrators are served", 5)
            except AssertionError as error:
                self.log.complaints.append(f"after the failover: {error}")
        self._containers.compose("start", first)

    # What is there

    def _client(self, name: str) -> FaultClient:
        username = self.usernames[int(name.split()[-1])]
        return FaultClient(
            name,
            [username],
            self.mail,
            self.log,
            f"{self._seed} {name}",
            self._addresses,
            self._clients_end,
            is_polite=True,
        )

    def _addresses(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", self._containers.pop3)]

    def _expect_no_ghosts(self) -> None:
        for line in self._containers.compose("logs", "--no-log-prefix").splitlines():
            if re.search("state store (is|not)|lease is over|switch-master", line):
                self.log.tell(line)
        super()._expect_no_ghosts()

    def _ghosts(self) -> str:
        shown = self._containers.ask("cc?", "cu?")
        return "" if shown == ["+0", "+0"] else f"{shown}"

    def _final_state(self) -> FinalState:
        counters = self._containers.counters()
        grown = {name: counters[name] - self._before[name] for name in counters}
        files = message_files(self.mail / username for username in self.usernames)
        return FinalState(counted(grown), {}, files)

    def _bugs(self) -> Iterator[str]:
        for line in self._containers.compose("logs", "--no-log-prefix").splitlines():
            if '"event": "bug"' in line or "Traceback" in line:
                yield f"log: {line}"


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaledContainers]:
    require_engine()
    containers = ScaledContainers(tmp_path_factory.mktemp("upgrade"), PEEP_DRAIN_SECONDS="30")
    try:
        containers.build_and_start()
        containers.add_users(*Upgrade.usernames)
        yield containers
    finally:
        containers.remove()


def seed() -> int:
    """Return the seed that was asked for, or a new one: a failure prints it."""
    return int(os.environ.get("PEEP_FAULT_SEED") or random.randrange(10**6))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_no_client_notices_that_every_replica_is_replaced(containers: ScaledContainers) -> None:
    world = Upgrade(containers, WHOLE, seed())
    world.run()
    endings = world.endings()
    print(f"{world.log.story()}\n{len(world.log.sessions)} sessions: {dict(endings)}")
    assert world.log.unconnected == []
    hindered = set(endings) - ENDINGS_OF_ITS_OWN
    # On a machine that is too busy for Redis to answer in time clients are told so, upgrade or not.
    if "no answer within 0.8 s" in world.log.story():
        hindered = {ending for ending in hindered if STORE_AWAY not in ending}
    assert hindered == set(), world.log.story()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_failover_of_redis_during_the_upgrade_loses_neither_mail_nor_counts(
    containers: ScaledContainers,
) -> None:
    world = Upgrade(containers, FAILOVER, seed())
    world.run()
    endings = world.endings()
    print(f"{world.log.story()}\n{len(world.log.sessions)} sessions: {dict(endings)}")
    assert world.log.unconnected == []
    hindered = [session for session in world.log.sessions if session.ending not in ENDINGS_OF_ITS_OWN]
    unforeseen = [session for session in hindered if not world.is_due_to_failover(session)]
    assert unforeseen == [], world.log.story()
