"""The load of `redis_capacity`: an embedded server, and instances with sessions that use it."""

import asyncio
import itertools
import time
from dataclasses import dataclass, replace
from pathlib import Path

from peepctl.up.embedded import EmbeddedServer
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import AddressCount, Deltas, Exchange, Instance, Login, LoginOutcome, SessionRow
from state_store.redis.client import RedisClient
from state_store.repository import StateRepository

USERS = 100_000
USERS_OF_A_WORKER = 1_000
ROUND_TRIP_SECONDS = 0.05
MILLION = 1_000_000


class Server:
    """The embedded server and its own figures."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._embedded = EmbeddedServer(directory)
        self._embedded.start()
        self.link = RedisClient(self.url)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._embedded.url

    @property
    def version(self) -> str:
        """The server's name and version."""
        return self._embedded.version

    async def info(self, *names: str) -> float:
        """Return the sum of these fields of INFO."""
        lines = str(await self.link.command("INFO")).splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return sum(float(fields[name]) for name in names)

    async def cpu_microseconds(self) -> float:
        """Return the CPU time of all the server's threads since it began."""
        return MILLION * await self.info("used_cpu_user", "used_cpu_sys")

    async def calls(self, command: str) -> int:
        """Return how often a command has been called."""
        lines = str(await self.link.command("INFO", "commandstats")).splitlines()
        return sum(
            int(line.split("=")[1].split(",")[0]) for line in lines if line.startswith(f"cmdstat_{command}:")
        )

    async def memory_octets(self) -> float:
        """Return the memory in use, without the buffers of connections and of the append-only file."""
        buffers = await self.info("mem_clients_normal", "mem_aof_buffer")
        return await self.info("used_memory") - buffers

    async def log_octets(self) -> float:
        """Return the size of the append-only file."""
        return await self.info("aof_current_size")

    async def compact(self) -> None:
        """Rewrite the append-only file, as the server does by itself when it has doubled."""
        await self.link.command("BGREWRITEAOF")
        while await self.info("aof_rewrite_in_progress", "aof_rewrite_scheduled"):
            await asyncio.sleep(0.05)

    async def restart(self) -> float:
        """Stop the server and start it with its data; return the CPU seconds of reading them."""
        await self.stop()
        self._embedded = EmbeddedServer(self._directory)
        await asyncio.to_thread(self._embedded.start)
        self.link = RedisClient(self.url)
        return await self.cpu_microseconds() / MILLION

    async def stop(self) -> None:
        """Stop the server."""
        await self.link.close()
        await asyncio.to_thread(self._embedded.stop, 30.0)

    def log_entries(self) -> int:
        """Return how many commands the append-only file has beyond its compact part."""
        return sum(file.read_bytes().count(b"\r\n*") for file in self._directory.rglob("*.incr.aof"))


@dataclass(frozen=True, slots=True)
class Load:
    """What each exchange of a worker carries: `sessions` that begin, and as many that end."""

    sessions: int
    has_rows: bool = False
    """Whether sessions get a row: those older than 30 ms do, most shorter ones do not."""
    has_address_limit: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one exchange: microseconds of CPU at both ends and on the clock, octets of the log."""

    server: float
    client: float
    log: float
    clock: float


class Worker:
    """One instance, whose sessions take one exchange each."""

    numbers = itertools.count(1)

    def __init__(self, repository: StateRepository, credential_version: str) -> None:
        self.repository = repository
        self._version = credential_version
        self._number = next(self.numbers)
        self.instance_id = f"{self._number:08x}"
        self._sequence = 0
        self._sessions = 0
        self._open: list[Login] = []

    async def register(self) -> None:
        """Begin a lease."""
        await self.repository.register_instance(
            Instance(self.instance_id, "pop3-service-6d4cf56db6-x7k2p", 7, "1.0.0", time.time())
        )

    async def exchange(self, load: Load) -> None:
        """End the sessions of the last exchange, and begin as many new ones."""
        self._sequence += 1
        exchange = Exchange(self.instance_id, self._sequence, exchange_number=self._sequence)
        exchange.deltas = Deltas(40_000, 2, 1, max(load.sessions, 1), max(load.sessions, 1))
        exchange.open_connections = exchange.claimed_connections = load.sessions
        exchange.releases = [(login.username, login.session_id) for login in self._open]
        exchange.logins = [self._next_login() for _ in range(load.sessions)]
        if load.has_rows:
            exchange.closed_sessions = [login.session_id for login in self._open]
            exchange.session_rows = [self._row(login) for login in exchange.logins]
        if load.has_address_limit:
            exchange.address_limit = 10
            exchange.addresses = [AddressCount(login.address, 0, 1) for login in exchange.logins]
            exchange.addresses += [AddressCount(login.address, 0, 0) for login in self._open]
        self._open = exchange.logins
        result = await self.repository.exchange(exchange)
        if set(result.logins) - {LoginOutcome.OPENED}:
            raise RuntimeError(f"logins were refused: {set(result.logins)}")

    def _next_login(self) -> Login:
        self._sessions += 1
        # Every worker has users of its own, so no two sessions need the same maildrop.
        index = (self._number * USERS_OF_A_WORKER + self._sessions % USERS_OF_A_WORKER) % USERS
        address = f"2001:db8:{self._number:x}::{self._sessions:x}"
        return Login(user_name(index), f"{self.instance_id}-{self._sessions:x}", self._version, address)

    def _row(self, login: Login) -> SessionRow:
        return SessionRow(login.session_id, self.instance_id, login.username, login.address, time.time())


def live_instance(repository: StateRepository) -> LiveInstance:
    """Return an instance as a POP3 process has it."""

    async def directory_fault(path: str) -> str:
        return "" if path else "no path"

    return LiveInstance(
        repository,
        InstanceOptions(host="pop3-service-6d4cf56db6-x7k2p", process_id=7, version="1.0.0"),
        InstanceCallbacks(directory_fault, settings_changed=lambda: None, lease_lapsed=lambda: None),
    )


async def run_session(instance: LiveInstance, login: Login) -> None:
    """Run one session of a client that checks for new mail and takes 50 ms for each reply."""
    if not instance.admit_at_once() and not await instance.admit(login.address):
        raise RuntimeError("no slot")
    login = login._replace(session_id=instance.new_session_id())
    row = SessionRow(login.session_id, instance.instance_id, None, login.address, time.time())
    instance.session_opened(login.session_id, lambda: row)
    instance.deltas.connections += 1
    instance.counted()
    await asyncio.sleep(2 * ROUND_TRIP_SECONDS)  # USER, PASS
    if await instance.lock_maildrop(login) is not LoginOutcome.OPENED:
        raise RuntimeError("a login was refused")
    row = replace(row, username=login.username)
    instance.session_opened(login.session_id, lambda: row)
    instance.deltas.logins += 1
    for _ in range(3):  # STAT, UIDL, QUIT
        await asyncio.sleep(ROUND_TRIP_SECONDS)
        instance.deltas.retrieved_bytes += 400
        instance.counted()
    instance.release_maildrop(login.username, login.session_id)
    instance.session_closed(login.session_id)
    instance.discharge(login.address)


def user_name(index: int) -> str:
    """Return a name of 16 octets, as an address in a domain of the host may be."""
    return f"user{index:06d}@ab.cd"
