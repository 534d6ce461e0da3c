"""Measure how much load one Redis carries: memory, CPU time and log octets of what Peep does there.

    cd benchmarks && python -m studies.redis_capacity [--rounds 3]

A real embedded server with its append-only file is filled and queried through the repository that the
services use. The figures come from the server itself (INFO): CPU time, not time on the clock, so that
other work on the machine disturbs them little. Prints one table in Markdown, each figure with the
smallest and the largest of its rounds; takes under two minutes.
"""

import argparse
import asyncio
import itertools
import platform
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import uvloop

from peep_server import BENCHMARK
from service_runtime.processors import usable_processors
from state_store.credentials.attempts import Attempt, Outcome, RefusalReason
from state_store.credentials.passwords import Passwords
from state_store.records import Credential, Login
from state_store.redis import keys
from state_store.repository import StateRepository
from studies.redis_load import (
    MILLION,
    USERS,
    USERS_OF_A_WORKER,
    Cost,
    Load,
    Server,
    Worker,
    live_instance,
    run_session,
    user_name,
)

MEASURED_INSTANCES = 10
"""Instances of the measured open sessions, with 1,000 each."""

BUSY_INSTANCES = 8
"""How many instances exchange at the same time; any others only hold leases."""

SESSIONS_A_ROUND = 20_000
EXCHANGES_A_ROUND = (400, 4_000)
SERVICE_SECONDS = 3
BATCH = 500


@dataclass(slots=True)
class Table:
    """The results: one line for each figure, with the smallest and the largest of its values."""

    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, unit: str, values: Iterable[float]) -> None:
        """Add a figure."""
        known = sorted(values)
        low, high = _rounded(known[0]), _rounded(known[-1])
        self.lines.append((what, low if low == high else f"{low} to {high}", unit))

    def show(self) -> None:
        """Print the table."""
        print("| What | Figure | Unit |\n| --- | ---: | --- |")
        for what, figure, unit in self.lines:
            print(f"| {what} | {figure} | {unit} |")


class Bench:
    """All measurements, in their order."""

    def __init__(self, server: Server, credential: Credential, rounds: int) -> None:
        self.table = Table()
        self._server = server
        self._credential = credential
        self._rounds = rounds
        self._reading_seconds = 0.0
        self._repositories = [StateRepository(server.url) for _ in range(BUSY_INSTANCES)]

    async def run(self) -> None:
        """Measure everything."""
        await self._add_users()
        command = self._server.link.command
        await command("CONFIG", "SET", "auto-aof-rewrite-percentage", 0)
        await self._repositories[0].change_settings(by=BENCHMARK, max_connections=MILLION)
        await self._measure_exchange("counts only", Load(0))
        await self._measure_exchange("1 session", Load(1))
        for sessions in (16, 64):
            await self._measure_exchange(f"{sessions} sessions", Load(sessions))
        await self._measure_exchange("16 sessions with rows", Load(16, has_rows=True))
        await self._measure_exchange("16 sessions, address limit", Load(16, has_address_limit=True))
        await command("CONFIG", "SET", "appendfsync", "always")
        await self._measure_exchange("16 sessions, appendfsync always", Load(16))
        await command("CONFIG", "SET", "appendfsync", "everysec")
        for instances, sessions in itertools.product((8, 64, 256), (1, 16)):
            what = f"{sessions} session{'s' * (sessions > 1)}, {instances} instances"
            await self._measure_exchange(what, Load(sessions), instances)
        for instances, rate in itertools.product((4, 32), (333, 3_333)):
            await self._measure_service(instances, rate)
        await self._measure_open_sessions()
        await self._measure_wrong_passwords()
        await self._measure_reading()

    async def _add_users(self) -> None:
        server, repository = self._server, self._repositories[0]
        await repository.prepare()
        memory, log, cpu = await self._state()
        for first in range(0, USERS, BATCH):
            names = [user_name(index) for index in range(first, first + BATCH)]
            await asyncio.gather(
                *(repository.add_user(name, self._credential, by=BENCHMARK) for name in names)
            )
        memory_then, log_then, cpu_then = await self._state()
        self.table.add("Memory: a user", "octets", [(memory_then - memory) / USERS])
        self.table.add("CPU: adding a user", "us", [(cpu_then - cpu) / USERS])
        self.table.add("Log: adding a user", "octets", [(log_then - log) / USERS])
        children = await server.info("used_cpu_user_children", "used_cpu_sys_children")
        await server.compact()
        children = await server.info("used_cpu_user_children", "used_cpu_sys_children") - children
        self.table.add(f"CPU: rewriting the log of {USERS:,} users", "s CPU", [children])
        self.table.add("Log: a user, rewritten", "octets", [await server.log_octets() / USERS])
        await self._restart()
        self.table.add(f"Start: reading {USERS:,} users", "s CPU", [self._reading_seconds])

    async def _state(self) -> tuple[float, float, float]:
        server = self._server
        return await server.memory_octets(), await server.log_octets(), await server.cpu_microseconds()

    async def _measure_exchange(self, what: str, load: Load, instances: int = 1) -> None:
        """Measure one kind of exchange while `instances` have leases."""
        workers = [
            Worker(self._repositories[number % BUSY_INSTANCES], self._credential.version)
            for number in range(instances)
        ]
        busy = workers[:BUSY_INSTANCES]
        total = max(
            EXCHANGES_A_ROUND[0], min(EXCHANGES_A_ROUND[1], SESSIONS_A_ROUND // max(load.sessions, 1))
        )
        each = total // len(busy)
        costs = []
        for _ in range(self._rounds):
            for worker in workers:  # a lease lasts longer than a round
                await worker.register()
                await worker.exchange(replace(load, sessions=0))
            costs.append(await self._cost(busy, load, each))
        for worker in workers:
            await worker.repository.end_instance(worker.instance_id)
        self.table.add(f"Exchange, {what}: CPU of Redis", "us", [cost.server for cost in costs])
        self.table.add(f"Exchange, {what}: CPU of the client", "us", [cost.client for cost in costs])
        self.table.add(f"Exchange, {what}: log", "octets", [cost.log for cost in costs])
        if instances == 1:  # several wait for each other
            clock = [cost.clock for cost in costs]
            self.table.add(f"Exchange, {what}: time on the clock", "us", clock)

    async def _cost(self, busy: list[Worker], load: Load, each: int) -> Cost:
        async def work(worker: Worker) -> None:
            for _ in range(each):
                await worker.exchange(load)

        _, log, cpu = await self._state()
        own, clock = time.process_time(), time.perf_counter()
        await asyncio.gather(*map(work, busy))
        own, clock = time.process_time() - own, time.perf_counter() - clock
        _, log_then, cpu_then = await self._state()
        exchanges = each * len(busy)
        return Cost(
            (cpu_then - cpu) / exchanges,
            own * MILLION / exchanges,
            (log_then - log) / exchanges,
            clock * MILLION * len(busy) / exchanges,
        )

    async def _measure_service(self, instances: int, rate: int) -> None:
        """Measure sessions as in the service: many at a time, each at its own pace."""
        repositories = [StateRepository(self._server.url) for _ in range(instances)]
        live = [live_instance(repository) for repository in repositories]
        await asyncio.gather(*(instance.start() for instance in live))
        cpu, exchanges, logs, sessions = [], [], [], rate * SERVICE_SECONDS
        loop = asyncio.get_running_loop()
        for _ in range(self._rounds):
            _, log, before = await self._state()
            calls, begin = await self._server.calls("evalsha"), loop.time()
            tasks = []
            for number in range(sessions):
                await asyncio.sleep(begin + number / rate - loop.time())
                login = self._login(number)
                tasks.append(loop.create_task(run_session(live[number % instances], login)))
            await asyncio.gather(*tasks)
            _, log_then, after = await self._state()
            logs.append((log_then - log) / sessions)
            cpu.append((after - before) / sessions)
            exchanges.append((await self._server.calls("evalsha") - calls) / sessions)
        await asyncio.gather(*(instance.stop() for instance in live))
        await asyncio.gather(*(repository.close() for repository in repositories))
        what = f"{rate:,} logins a second, {instances} instances"
        self.table.add(f"Service, {what}: CPU a session", "us", cpu)
        self.table.add(f"Service, {what}: CPU", "% of a core", [each * rate / 10_000 for each in cpu])
        self.table.add(f"Service, {what}: exchanges a session", "", exchanges)
        self.table.add(f"Service, {what}: log of a session", "octets", logs)

    def _login(self, number: int) -> Login:
        return Login(user_name(number % USERS), "", self._credential.version, f"2001:db8::{number:x}")

    async def _measure_open_sessions(self) -> None:
        """Measure the memory of open sessions, and the cost of listing and of removing them."""
        repository = self._repositories[0]
        workers = [Worker(repository, self._credential.version) for _ in range(MEASURED_INSTANCES)]
        for worker in workers:
            await worker.register()
            await worker.exchange(Load(USERS_OF_A_WORKER, has_rows=True, has_address_limit=True))
        own = workers[0].instance_id
        count = MEASURED_INSTANCES * USERS_OF_A_WORKER
        await self._add_memory("the lock of a session", keys.MAILDROPS, count)
        await self._add_memory("the row of a session", keys.SESSIONS + own, USERS_OF_A_WORKER)
        await self._add_memory("an address with a connection", keys.ADDRESSES + own, USERS_OF_A_WORKER)
        await self._add_memory("an instance", keys.INSTANCE + own, 1)
        connections = await self._server.info("mem_clients_normal") / await self._server.info(
            "connected_clients"
        )
        self.table.add("Memory: a connection to Redis (an instance has two)", "octets", [connections])
        for what, ask in (
            ("counters", repository.counters),
            ("list of users logged in", repository.logged_in_users),
            ("list of sessions", repository.sessions),
        ):
            before = await self._server.cpu_microseconds()
            for _ in range(10):
                await ask()
            cost = (await self._server.cpu_microseconds() - before) / 10
            self.table.add(f"CPU: {what}, {count:,} open", "us", [cost])
        await self._measure_lease_ends(workers, count)
        for worker in workers:
            await repository.end_instance(worker.instance_id)

    async def _measure_lease_ends(self, workers: list[Worker], count: int) -> None:
        async def cost_of_end(worker: Worker) -> float:
            before = await self._server.cpu_microseconds()
            await worker.repository.end_instance(worker.instance_id)
            return await self._server.cpu_microseconds() - before

        empty, costs = Worker(self._repositories[0], self._credential.version), []
        for _ in range(self._rounds):
            await empty.register()
            costs.append(await cost_of_end(empty))
        self.table.add(f"CPU: a lease's end, {count:,} locks of others", "us", costs)
        own = [await cost_of_end(workers[0])]
        self.table.add(f"CPU: a lease's end, {USERS_OF_A_WORKER:,} of {count:,} locks its own", "us", own)

    async def _add_memory(self, what: str, key: str, count: int) -> None:
        octets = await self._server.link.command("MEMORY", "USAGE", key, "SAMPLES", 0)
        self.table.add(f"Memory: {what}", "octets", [octets / count])

    async def _measure_wrong_passwords(self) -> None:
        repository = self._repositories[0]
        for wrong in (1, 20):
            network = f"2001:db8:0:{wrong:x}::/64"
            before = await self._server.cpu_microseconds()
            for number in range(wrong):
                attempt = Attempt("user somebody", network, f"{number:032x}")
                decision = await repository.begin_attempt(attempt)
                reason = RefusalReason.WRONG_PASSWORD
                await repository.end_attempt(attempt, decision, Outcome.WRONG, reason)
            cost = (await self._server.cpu_microseconds() - before) / wrong
            await self._add_memory(
                f"a network with {wrong} wrong password{'s' * (wrong > 1)}",
                f"{keys.ALLOWANCE}network {network}",
                1,
            )
        self.table.add("CPU: a wrong password", "us", [cost])

    async def _measure_reading(self) -> None:
        base = self._reading_seconds
        entries = self._server.log_entries()
        log = await self._server.log_octets() - await self._server.info("aof_base_size")
        self.table.add("Log: an entry", "octets", [log / entries])
        await self._restart()
        seconds = (self._reading_seconds - base) * MILLION / entries
        self.table.add(f"Start: reading a million log entries (of {entries:,} read)", "s CPU", [seconds])

    async def _restart(self) -> None:
        for repository in self._repositories:
            await repository.close()
        self._reading_seconds = await self._server.restart()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Measure how far one Redis carries.")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="peep-bench-") as folder:
        uvloop.run(bench(Path(folder), given.rounds))


async def bench(folder: Path, rounds: int) -> None:
    """Measure everything on a server whose files are in `folder`, and print it."""
    passwords = Passwords(usable_processors())
    # One for all users: the cost of hashing does not concern Redis.
    credential = await passwords.new_credential("correct horse battery staple")
    passwords.close()
    server = Server(folder)
    try:
        measurements = Bench(server, credential, rounds)
        await measurements.run()
        print(f"{server.version}, {platform.machine()}, {date.today()}\n")
        measurements.table.show()
    finally:
        await server.stop()


def _rounded(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
