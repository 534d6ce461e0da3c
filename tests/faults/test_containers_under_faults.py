"""The real containers paused, killed and cut off while clients work, a failover between three of Redis."""

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from state_store.redis import keys
from support.containers import PROJECT_FOLDER, Containers, require_engine
from support.docker_engine import pause
from support.fault_checker import RECOVERY_SECONDS, FinalState, counted, message_files
from support.fault_client import FaultClient
from support.fault_log import LEASE_SECONDS, Span
from support.fault_world import FIRST_MESSAGES, GHOST_SECONDS, USERNAMES, FaultWorld, Schedule
from support.pop3_process import PASSWORD, Pop3Client, wait_until
from support.redis_kinds import free_port

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

ADMINISTRATOR = ("bob", "sesame")
WORKERS = 2
MASTER_NAME = "the-master"
REDIS_CONTAINERS = ("redis", "redis-second", "redis-third")
SENTINEL_CONTAINERS = ("sentinel-first", "sentinel-second", "sentinel-third")
DOCKER_SECONDS = 1.0
"""What the engine itself takes to connect a network or to let a container go on, on a busy machine."""

START_SECONDS = 120.0
"""A second on an idle machine, and 23 beside thirty busy processes on two cores."""

FAILOVER_SECONDS = 10.0
"""The sentinels wait 2 s before they call a master down, vote, and wait for the replica's promotion."""

MESSAGES = [b"Subject: %d\n\n.dot\n" % number for number in range(3)]

COUNTERS = {
    "rb?": "retrieved_bytes",
    "re?": "retrieved_emails",
    "xe?": "removed_emails",
    "hc?": "historical_connections",
    "hu?": "historical_logins",
    "cc?": "current_connections",
}
"""What PEEP says, and where HTTP says the same."""

# The project's pop3-service twice, over a mail directory of the tests, whoever may write to it.
TWO_SERVICES = """
services:
  pop3-service:
    environment: {{PEEP_POP3_WORKERS: "{workers}"}}
    volumes: ["{mail}:/var/mail/peep"]
  pop3-second:
    extends: {{file: "{project}", service: pop3-service}}
    environment: {{PEEP_POP3_WORKERS: "{workers}"}}
    ports: !override ["127.0.0.1:{port}:1110"]
    volumes: ["{mail}:/var/mail/peep"]
"""

# Which server is the master, the sentinels are told once all have addresses: what a name stands for, they
# could not find out any more when its container is gone.
THREE_SENTINELS = """
x-state: &state
  PEEP_REDIS_URL: redis+sentinel://sentinel-first,sentinel-second,sentinel-third/{master_name}

x-sentinel: &sentinel
  image: redis:7-bookworm
  user: "999:999"
  command: ["sh", "-c", "echo port 26379 >sentinel.conf; exec redis-server sentinel.conf --sentinel"]
  networks: [store]
  volumes: [/data]

x-redis: &redis
  <<: *sentinel
  command: &command !override
    [redis-server, --appendonly, "yes", --save, "", --protected-mode, "no", --repl-diskless-sync-delay, "0",
     --min-replicas-to-write, "1", --min-replicas-max-lag, "2"]

services:
  redis: {{command: *command}}
  redis-second: *redis
  redis-third: *redis
  sentinel-first: *sentinel
  sentinel-second: *sentinel
  sentinel-third: *sentinel
  pop3-service: {{environment: *state}}
  pop3-second: {{environment: *state}}
  peep-gateway: {{environment: *state}}
  state-api: {{environment: *state}}
"""


@dataclass
class Replica:
    """A POP3 container, which each start makes another in the eyes of the checker."""

    number: int
    container: str
    address: tuple[str, int]
    starts: list[float] = field(default_factory=lambda: [0.0])

    def process(self, started_at: float = float("inf")) -> int:
        """Return a number for the start that an instance belongs to, by when the instance began."""
        return 1000 * self.number + sum(start <= started_at for start in self.starts)


class System:
    """One Compose project with two POP3 containers, and what is to be asked of it."""

    def __init__(self, folder: Path, *, with_sentinels: bool = False) -> None:
        self.mail = folder / "mail"
        self.mail.mkdir()
        self.mail.chmod(0o777)
        administrators = folder / "administrators"
        administrators.write_text(":".join(ADMINISTRATOR) + "\n")
        # The containers' user is nobody's user here, so the file has to be open to it.
        administrators.chmod(0o644)
        second_port = free_port()
        override = TWO_SERVICES.format(
            mail=self.mail, project=PROJECT_FOLDER / "docker-compose.yml", port=second_port, workers=WORKERS
        )
        files = [folder / "two-services.yml"]
        files[0].write_text(override)
        if with_sentinels:
            files.append(folder / "three-sentinels.yml")
            files[1].write_text(THREE_SENTINELS.format(master_name=MASTER_NAME))
        self.containers = Containers(*files, PEEP_ADMINS_SECRET=str(administrators), PEEP_LOG_FORMAT="json")
        self._ports = {"pop3-service": self.containers.pop3, "pop3-second": second_port}
        self._with_sentinels = with_sentinels
        self._redis_addresses: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.replicas: list[Replica] = []

    def start(self) -> None:
        """Start everything, make the users, and return when all containers are healthy."""
        self.containers.compose("build", "pop3-service", "peep-gateway", "state-api")
        if self._with_sentinels:
            self.containers.start(*REDIS_CONTAINERS, *SENTINEL_CONTAINERS)
            self._note_ids()
            self._introduce()
        self.containers.start()
        self._note_ids()
        self.replicas = [
            Replica(number, self.ids[service], ("127.0.0.1", port))
            for number, (service, port) in enumerate(self._ports.items(), 1)
        ]
        for username in USERNAMES:
            self.add_user(username)

    def _note_ids(self) -> None:
        listed = self.containers.compose("ps", "--all", "--format", "{{.Service}} {{.ID}}")
        self.ids = dict(line.split() for line in listed.splitlines())

    # The engine

    def docker(self, *arguments: str) -> str:
        """Run `docker`, the names of services in the place of their containers'."""
        return self.containers.docker(*(self.ids.get(word, word) for word in arguments))

    @contextmanager
    def paused(self, container: str) -> Iterator[None]:
        """Let nothing in a container run for a while."""
        pause(self.ids.get(container, container))
        try:
            yield
        finally:
            self.docker("unpause", container)

    @contextmanager
    def cut_off(self, container: str) -> Iterator[None]:
        """Take a container out of the network of Redis for a while."""
        network = f"{self.containers.name}_store"
        self.docker("network", "disconnect", network, container)
        try:
            yield
        finally:
            self.docker("network", "connect", network, container)

    @contextmanager
    def killed(self, replica: Replica) -> Iterator[None]:
        """Kill a POP3 container outright, and start it again at the end."""
        self.docker("kill", replica.container)
        try:
            yield
        finally:
            replica.starts.append(time.time())
            self.docker("start", replica.container)
            wait_until(
                lambda: self.greets(replica), "the container that was started again greets", START_SECONDS
            )

    # Redis

    def store(self, *words: str) -> list[str]:
        """Return the answer of the one Redis, or of the sentinels' master, line by line."""
        if self._with_sentinels:
            where = ["sentinel-first", "redis-cli", "-h", self._master_address()]
        else:
            where = ["redis", "redis-cli"]
        return self.docker("exec", *where, "--raw", *words).splitlines()

    def master(self) -> str:
        """Return the service whose container the sentinels call the master."""
        return self._redis_addresses[self._master_address()]

    def _master_address(self) -> str:
        ask = ("sentinel", "get-master-addr-by-name", MASTER_NAME)
        return self.docker("exec", "sentinel-first", "redis-cli", "-p", "26379", "--raw", *ask).split()[0]

    def _address(self, service: str) -> str:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.docker("inspect", "--format", form, service)

    def _introduce(self) -> None:
        """Make one Redis the master of the others, and tell the sentinels."""
        # A container that was killed has none any more.
        self._redis_addresses = {self._address(service): service for service in REDIS_CONTAINERS}
        address = self._address("redis")
        for replica in REDIS_CONTAINERS[1:]:
            self.docker("exec", replica, "redis-cli", "replicaof", address, "6379")
        for sentinel in SENTINEL_CONTAINERS:
            ask = ("exec", sentinel, "redis-cli", "-p", "26379", "sentinel")
            self.docker(*ask, "monitor", MASTER_NAME, address, "6379", "2")
            self.docker(*ask, "set", MASTER_NAME, "down-after-milliseconds", "2000")
            # By themselves they look at replicas, and so find them, every ten seconds.
            self.docker(*ask, "debug", "info-period", "500")
        for sentinel in SENTINEL_CONTAINERS:
            wait_until(lambda sentinel=sentinel: self._knows_all(sentinel), "the sentinels know all")  # type: ignore[misc]

    def _knows_all(self, sentinel: str) -> bool:
        ask = ("redis-cli", "-p", "26379", "--raw", "sentinel", "master", MASTER_NAME)
        words = self.docker("exec", sentinel, *ask).splitlines()
        known = dict(zip(words[::2], words[1::2], strict=True))
        return (known["num-slaves"], known["num-other-sentinels"]) == ("2", "2")

    # Operators

    def ask(self, *commands: str) -> list[str]:
        """Return PEEP's answers, each with all its lines."""
        with socket.create_connection(("127.0.0.1", self.containers.peep), timeout=10) as connection:
            lines = connection.makefile("r", encoding="ascii", newline="\r\n")
            answers = []
            for command in (f"a {' '.join(ADMINISTRATOR)}", *commands):
                connection.sendall(f"{command}\r\n".encode())
                answer = lines.readline()
                if command in {"u?", "cu?"} and answer.startswith("+"):
                    answer += "".join(lines.readline() for _ in range(int(answer)))
                answers.append(answer.removesuffix("\r\n"))
            lines.close()
        assert answers[0] == "+", answers
        return answers[1:]

    def counters(self) -> dict[str, int]:
        """Return what PEEP counts."""
        return dict(zip(COUNTERS.values(), map(int, self.ask(*COUNTERS)), strict=True))

    def get(self, path: str) -> httpx.Response:
        """Return what the HTTP service answers."""
        url = f"http://127.0.0.1:{self.containers.http}{path}"
        return httpx.get(url, auth=ADMINISTRATOR, timeout=10)

    def is_administered(self) -> bool:
        """Return whether PEEP and HTTP both answer what needs Redis."""
        with contextlib.suppress(OSError, ValueError, AssertionError, httpx.TransportError):
            return self.ask("c?")[0].startswith("+") and self.get("/readyz").status_code == 200
        return False

    def sessions(self) -> set[str]:
        """Return the ids of all open connections; while HTTP does not know them, why it does not."""
        answer = self.get("/v1/sessions")
        if answer.status_code != 200:
            return {answer.text}
        return {session["id"] for session in answer.json()["sessions"]}

    def ghosts(self, *expected: Pop3Client, users: tuple[str, ...] = ()) -> str:
        """Return what is shown besides, or instead of, these connections and users; else nothing."""
        shown = {
            "cc? cu?": self.ask("cc?", "cu?"),
            "HTTP": self.sessions(),
            "locks": sorted(self.store("hkeys", keys.MAILDROPS)),
        }
        right = {
            "cc? cu?": [f"+{len(expected)}", "\r\n".join([f"+{len(users)}", *users])],
            "HTTP": {client.greeting.split()[-1].decode() for client in expected},
            "locks": sorted(users),
        }
        return "" if shown == right else f"{shown}, not {right}"

    def instances(self) -> dict[str, int]:
        """Return the instances of all time, each with the number of the start that it belongs to."""
        script = (
            f"local rows = {{}} for _, key in ipairs(redis.call('KEYS', '{keys.INSTANCE}*')) do "
            "local row = redis.call('HMGET', key, 'host', 'started_at') "
            "rows[#rows + 1] = key .. ' ' .. row[1] .. ' ' .. row[2] end return rows"
        )
        found = {}
        for key, host, started_at in map(str.split, self.store("eval", script, "0")):
            replica = next(replica for replica in self.replicas if replica.container.startswith(host))
            found[key.removeprefix(keys.INSTANCE)] = replica.process(float(started_at))
        return found

    # POP3

    def add_user(self, username: str, *messages: bytes) -> None:
        """Add a user who has this mail, in folders that the containers may write to."""
        assert self.ask(f"u+ {username} {PASSWORD}") == ["+"]
        for folder in (
            self.mail / username,
            *(self.mail / username / name for name in ("new", "cur", "tmp")),
        ):
            folder.mkdir()
            folder.chmod(0o777)
        for number, message in enumerate(messages):
            (self.mail / username / "new" / f"{1_700_000_000 + number}.M1.host").write_bytes(message)

    def files(self, username: str) -> list[bytes]:
        """Return the messages that are in a user's maildir."""
        return [path.read_bytes() for path in sorted((self.mail / username).glob("[nc][eu][wr]/*"))]

    def greets(self, replica: Replica) -> bool:
        """Return whether a POP3 container takes connections."""
        with contextlib.suppress(OSError), Pop3Client(replica.address) as client:
            return client.greeting.startswith(b"+OK") and client.quit().startswith(b"+OK")
        return False

    def try_to_log_in(self, replica: Replica, username: str) -> Pop3Client | None:
        """Return a logged-in client, or None where the maildrop or the service is not free."""
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(Pop3Client(replica.address))
            if not client.greeting.startswith(b"+OK"):
                return None
            client.ask(f"USER {username}")
            reply = client.ask(f"PASS {PASSWORD}")
            if not reply.startswith(b"+OK"):
                assert reply.startswith((b"-ERR [IN-USE]", b"-ERR [SYS/TEMP]"))
                return None
            stack.pop_all()
            return client

    def log_in_within(self, seconds: float, replica: Replica, username: str) -> Pop3Client:
        """Return a client that logs in as soon as it can."""
        clients: list[Pop3Client] = []

        def logged_in() -> bool:
            client = self.try_to_log_in(replica, username)
            clients.extend([client] if client else [])
            return client is not None

        wait_until(logged_in, f"{username} can log in", seconds)
        return clients[0]


class ContainerWorld(FaultWorld):
    """A fault run over containers."""

    recovery_seconds = RECOVERY_SECONDS + DOCKER_SECONDS

    def __init__(self, system: System, schedule: Schedule, seed: int, seconds: float) -> None:
        super().__init__(system.mail, schedule, seed, seconds)
        self._system = system
        self.mail = system.mail
        self._has_failed_over = False

    def run(self) -> None:
        """Start from empty maildrops and from what was counted before; then see `FaultWorld`."""
        draws = self._draws("first mail")
        for username in USERNAMES:
            for path in (self.mail / username).glob("[nc][eu][wr]/*"):
                path.unlink()
            for _ in range(FIRST_MESSAGES):
                self.deliver(draws, username)
        wait_until(lambda: not self._system.ghosts(), "nothing is left of the run before")
        self._before = self._system.counters()
        self._recorded_before = self._recorded_messages()
        super().run()

    # What is there

    def _addresses(self) -> list[tuple[str, int]]:
        return [replica.address for replica in self._system.replicas]

    def _ghosts(self) -> str:
        return self._system.ghosts()

    def _expect_all_mail_to_be_listed(self, client: FaultClient) -> None:
        super()._expect_all_mail_to_be_listed(client)
        if not self._system.is_administered():
            self.log.complaints.append("after all faults: PEEP or /readyz fails")

    def _final_state(self) -> FinalState:
        counters = self._system.counters()
        shown = self._system.get("/v1/counters").json()
        over_http = {name: shown[name] for name in counters}
        assert over_http == counters
        grown = {name: counters[name] - self._before[name] for name in counters}
        files = message_files(self.mail / username for username in USERNAMES)
        recorded = {"retrieved": self._recorded_messages() - self._recorded_before}
        return FinalState(counted(grown), self._system.instances(), files, recorded)

    def _recorded_messages(self) -> int:
        return sum(
            self._system.get(f"/v1/users/{username}").json()["week"]["messages"] for username in USERNAMES
        )

    def _bugs(self) -> Iterator[str]:
        for line in self._system.containers.compose("logs", "--no-log-prefix").splitlines():
            if '"event": "bug"' in line or "Traceback" in line:
                yield f"log: {line}"

    # POP3 containers

    def pause_container(self, draws: random.Random) -> None:
        """Pause a container for less than its lease."""
        replica = draws.choice(self._system.replicas)
        self._without(replica, self._system.paused, "paused", draws.uniform(0.3, 2.5))

    def pause_container_beyond_its_lease(self, draws: random.Random) -> None:
        """Pause a container until others have its maildrops."""
        replica = draws.choice(self._system.replicas)
        self._without(replica, self._system.paused, "paused", LEASE_SECONDS + draws.uniform(1.0, 2.0))

    def cut_off_container(self, draws: random.Random) -> None:
        """Take a container out of the network of Redis for less than its lease."""
        replica = draws.choice(self._system.replicas)
        self._without(replica, self._system.cut_off, "cut off", draws.uniform(0.3, 3.0))

    def cut_off_container_beyond_its_lease(self, draws: random.Random) -> None:
        """Take a container out of the network of Redis until others have its maildrops."""
        replica = draws.choice(self._system.replicas)
        self._without(replica, self._system.cut_off, "cut off", LEASE_SECONDS + draws.uniform(1.0, 2.0))

    def kill_container(self, draws: random.Random) -> None:
        """Kill a container outright, and start it again."""
        replica = draws.choice(self._system.replicas)
        self.log.tell(f"container {replica.number} is killed")
        self.log.kills[replica.process()] = time.monotonic()
        with self._system.killed(replica):
            self._ending.wait(draws.uniform(0.0, 1.0))
        self.log.tell(f"container {replica.number} greets")

    def _without(
        self,
        replica: Replica,
        fault: Callable[[str], contextlib.AbstractContextManager[None]],
        name: str,
        seconds: float,
    ) -> None:
        self.log.tell(f"container {replica.number} is {name} for {seconds:.1f} s")
        begin = time.monotonic()
        with fault(replica.container):
            threading.Event().wait(seconds)
        self.log.stops.setdefault(replica.process(), []).append(Span(begin, time.monotonic()))
        self.log.tell(f"container {replica.number} goes on")

    # The other containers

    def kill_administration(self, draws: random.Random) -> None:
        """Kill what operators ask, of which no client may notice anything."""
        service = draws.choice(["peep-gateway", "state-api"])
        self.log.tell(f"{service} is killed")
        self._system.docker("kill", service)
        self._system.docker("start", service)
        wait_until(self._system.is_administered, f"{service} answers again")
        self.log.tell(f"{service} answers again")

    def restart_redis(self, draws: random.Random) -> None:
        """Restart the container of Redis."""
        with self._outage("redis is restarted"):
            self._system.docker("restart", "redis")

    def pause_redis(self, draws: random.Random) -> None:
        """Pause the container of Redis."""
        with self._outage("redis is paused"), self._system.paused("redis"):
            threading.Event().wait(draws.uniform(1.0, 3.0))

    def fail_over(self, draws: random.Random) -> None:
        """Kill the container of the sentinels' master, once, and wait for the next."""
        if self._has_failed_over:
            return
        self._has_failed_over = True
        first = self._system.master()
        with self._outage(f"{first}, the master, is killed"):
            began = time.monotonic()
            self._system.docker("kill", first)
            self.log.failovers.append(Span(began, time.monotonic()))
            try:
                wait_until(lambda: self._system.master() != first, "another is named", FAILOVER_SECONDS)
                self.log.tell(f"{self._system.master()} is the master")
                wait_until(self._system.is_administered, "administrators are served", RECOVERY_SECONDS + 1)
            except AssertionError as error:
                self.log.complaints.append(f"after the failover: {error}")


SERVICES = ("pause_container", "cut_off_container", "kill_container", "kill_container", "kill_administration")
MAIL = ("deliver",) * 12 + ("move_to_cur",) * 4

SCHEDULES = [
    # Polite clients and no container killed outright: every counter is right to the octet.
    Schedule(
        "nobody-is-killed",
        ("pause_container", "cut_off_container", "kill_administration"),
        ("restart_redis", "pause_redis"),
        MAIL,
        seconds=13.0,
        is_polite=True,
    ),
    Schedule("everything", SERVICES, ("restart_redis", "pause_redis"), MAIL, seconds=16.0),
    Schedule(
        "a-container-is-away-too-long",
        ("pause_container_beyond_its_lease", "cut_off_container_beyond_its_lease"),
        mail=MAIL,
        seconds=17.0,
    ),
]
FAILOVER = Schedule("failover", redis=("fail_over",), mail=MAIL, seconds=13.0, is_polite=True)


def seed() -> int:
    """Return the seed that was asked for, or a new one: a failure prints it."""
    return int(os.environ.get("PEEP_FAULT_SEED") or random.randrange(10**6))


@contextmanager
def running(system: System) -> Iterator[System]:
    try:
        system.start()
        yield system
    finally:
        system.containers.remove()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Give the one system of tests that leave all its containers running."""
    require_engine()
    with running(System(tmp_path_factory.mktemp("containers"))) as system:
        yield system


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_clients_maildirs_and_counters_agree_whatever_befalls_containers(
    system: System, schedule: Schedule
) -> None:
    ContainerWorld(system, schedule, seed(), schedule.seconds).run()


@pytest.mark.parametrize("fault", ["paused", "cut_off"])
def test_container_that_is_away_for_longer_than_its_lease_removes_nothing_and_recovers(
    system: System, fault: str
) -> None:
    username = f"late-{fault}"
    system.add_user(username, *MESSAGES)
    first, second = system.replicas
    with Pop3Client(first.address).log_in(username) as late:
        assert late.ask("DELE 1").startswith(b"+OK")
        with getattr(system, fault)(first.container):
            client = system.log_in_within(GHOST_SECONDS, second, username)
            assert len(client.ask_lines("UIDL")) == len(MESSAGES)
            late.send(b"QUIT\r\n")
        with client:
            assert late.line().startswith(b"-ERR [SYS/TEMP]")
            assert late.rest() == b""
            system.add_user(f"{username}-neighbour")
            within = RECOVERY_SECONDS + DOCKER_SECONDS
            with system.log_in_within(within, first, f"{username}-neighbour") as neighbour:
                assert neighbour.quit().startswith(b"+OK")
            wait_until(lambda: not system.ghosts(client, users=(username,)), "the second session is there")
            assert system.try_to_log_in(first, username) is None
            assert len(client.ask_lines("LIST")) == len(MESSAGES)
            assert client.quit().startswith(b"+OK")
    assert system.files(username) == MESSAGES


def test_nothing_of_a_killed_container_is_left_after_its_lease(system: System) -> None:
    system.add_user("victim", *MESSAGES)
    system.add_user("witness", *MESSAGES)
    first, second = system.replicas
    with (
        Pop3Client(first.address).log_in("victim") as lost,
        Pop3Client(second.address).log_in("witness") as kept,
    ):
        assert lost.ask("DELE 1").startswith(b"+OK")
        wait_until(lambda: not system.ghosts(lost, kept, users=("victim", "witness")), "both are shown")
        with system.killed(first):
            wait_until(lambda: not system.ghosts(kept, users=("witness",)), "one is left", GHOST_SECONDS)
            with system.log_in_within(GHOST_SECONDS, second, "victim") as client:
                assert len(client.ask_lines("UIDL")) == len(MESSAGES)
                assert client.quit().startswith(b"+OK")
        assert kept.quit().startswith(b"+OK")
    assert system.files("victim") == MESSAGES


def test_state_api_without_its_network_to_redis_is_alive_and_not_ready(system: System) -> None:
    with system.cut_off("state-api"):
        wait_until(lambda: system.get("/readyz").status_code == 503, "/readyz fails")
        assert system.get("/livez").status_code == 200
        answer = system.get("/v1/counters")
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    wait_until(
        lambda: system.get("/readyz").status_code == 200, "/readyz is well", RECOVERY_SECONDS + DOCKER_SECONDS
    )
    assert system.get("/v1/counters").status_code == 200


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_clients_maildirs_and_counters_agree_after_sentinels_have_named_another_master(
    tmp_path: Path,
) -> None:
    require_engine()
    with running(System(tmp_path, with_sentinels=True)) as system:
        ContainerWorld(system, FAILOVER, seed(), FAILOVER.seconds).run()
