"""Two POP3 services of two workers over one Redis and one mail directory, and what can befall them."""

import contextlib
import itertools
import json
import math
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from state_store.redis import keys
from state_store.repository.user_records import STRANGERS
from support.fault_checker import (
    RECOVERY_SECONDS,
    SLACK_SECONDS,
    FinalState,
    complaints,
    counted,
    message_files,
    slack,
)
from support.fault_client import FaultClient
from support.fault_log import LEASE_SECONDS, Message, RunLog, SessionLog, Span, stalls
from support.pop3_process import Pop3Process, wait_until
from support.redis_server import RedisServer

USERNAMES = ["anna", "bert", "carl", "dora", "emil"]
FIRST_MESSAGES = 15
CLIENTS = 8
WORKERS = 2
GHOST_SECONDS = LEASE_SECONDS + 3.0
"""After so long nothing of a killed worker may show any more: its lease, and a look at it."""

SETTLED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What befalls the services, Redis and the maildirs during a run, by names of `FaultWorld`'s methods.

    Each of the three goes on by itself, so that they meet; equal names weigh more.
    """

    name: str
    services: tuple[str, ...] = ()
    redis: tuple[str, ...] = ()
    mail: tuple[str, ...] = ("deliver",)
    seconds: float = 9.0
    is_polite: bool = False


class FaultWorld:
    """Runs one schedule from one seed, and says what was wrong with it."""

    usernames = USERNAMES
    client_count = CLIENTS
    settled_seconds = SETTLED_SECONDS
    recovery_seconds = RECOVERY_SECONDS + SLACK_SECONDS

    def __init__(self, folder: Path, schedule: Schedule, seed: int, seconds: float) -> None:
        self._folder, self._schedule, self._seed, self._seconds = folder, schedule, seed, seconds
        self.log = RunLog()
        self._stack = ExitStack()
        self._ending = threading.Event()
        self._clients_end = threading.Event()
        self._message_numbers = iter(range(1, 1_000_000))

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.redis = stack.enter_context(RedisServer())
            self.services = [
                stack.enter_context(
                    Pop3Process(self.redis.url, self._folder, workers=WORKERS, ordinary_rights=True)
                )
                for _ in range(2)
            ]
            self.mail = self.services[0].mail
            draws = self._draws("first mail")
            for username in USERNAMES:
                self.services[0].add_user(name=username)
                for _ in range(FIRST_MESSAGES):
                    self.deliver(draws, username)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self) -> None:
        """Let everything happen, then fail with all that was wrong, the seed and the story."""
        try:
            self._let_it_happen()
        except Exception as error:
            raise AssertionError(self._report([f"stopped by {error!r}"])) from error
        self._expect_agreement()

    def _let_it_happen(self) -> None:
        clients = [self._client(f"client {number}") for number in range(self.client_count)]
        schedule = self._schedule
        with ThreadPoolExecutor(self.client_count + 4) as threads:
            living = [threads.submit(client.run) for client in clients]
            living.append(threads.submit(self._note_stalls))
            tracks = [
                threads.submit(self._go_through, "services", schedule.services, (0.3, 2.0)),
                threads.submit(self._go_through, "redis", schedule.redis, (0.2, 1.5)),
                threads.submit(self._go_through, "mail", schedule.mail, (0.02, 0.12)),
            ]
            self._ending.wait(self._seconds)
            self._ending.set()
            try:
                for track in tracks:
                    track.result()
            finally:
                self._clients_end.set()
            for life in living:
                life.result()
        self.log.tell("all clients have gone")
        self._expect_no_ghosts()
        self._expect_all_mail_to_be_listed(clients[0])

    def _note_stalls(self) -> None:
        for stall in stalls(self._clients_end.wait):
            self.log.stalls.append(stall)
            self.log.tell(f"the machine has stood still for {stall.end - stall.begin:.1f} s")

    def _client(self, name: str) -> FaultClient:
        return FaultClient(
            name,
            self.usernames,
            self.mail,
            self.log,
            f"{self._seed} {name}",
            self._addresses,
            self._clients_end,
            is_polite=self._schedule.is_polite,
        )

    # The end

    def _expect_no_ghosts(self) -> None:
        found: list[str] = []

        def are_gone() -> bool:
            found[:] = filter(None, [self._ghosts()])
            return not found

        try:
            wait_until(are_gone, "no ghosts are left", GHOST_SECONDS)
        except AssertionError:
            self.log.complaints.append(f"ghosts after {GHOST_SECONDS:g} s: {found[0]}")
        else:
            self.log.tell("no ghosts are left")

    def _ghosts(self) -> str:
        """Return what is still shown of clients that have gone; nothing when all is well."""
        repository = self.services[0].repository
        ask = self.services[0]._runner.run
        with self.redis.client() as client:
            counters, locks = ask(repository.counters()), client.hgetall(keys.MAILDROPS)
        rows = [session.session_id for session in ask(repository.sessions())]
        gauges = (counters.current_connections, counters.logged_in_users)
        return f"cc? cu? {gauges}, locks {locks}, sessions {rows}" if any(gauges) or locks or rows else ""

    def _expect_all_mail_to_be_listed(self, client: FaultClient) -> None:
        for address, username in itertools.product(self._addresses(), self.usernames):
            looks: list[SessionLog] = []

            def is_listed(username: str = username, address: tuple[str, int] = address) -> bool:
                looks.append(client.look(username, address))  # noqa: B023 - called before the next turn
                return looks[-1].listed is not None  # noqa: B023

            try:
                wait_until(is_listed, "all mail is listed", self.recovery_seconds)
            except AssertionError:
                self.log.complaints.append(f"after all faults: {looks[-1]}")

    def _expect_agreement(self) -> None:
        found: list[str] = []

        def agreed() -> bool:
            found[:] = complaints(self.log, self._final_state())
            return not found

        with contextlib.suppress(AssertionError):
            wait_until(agreed, "the counters agree with the clients", self.settled_seconds)
        found += self._bugs()
        state = self._final_state()
        self.log.tell(f"counted {state.counted}, which may be off by {slack(self.log, state)}")
        removed = sum(session.quit_reply.startswith(b"+OK") for session in self.log.sessions)
        self.log.tell(f"{len(self.log.sessions)} sessions, {removed} with QUIT's +OK")
        assert not found, self._report(found)

    def _report(self, found: list[str]) -> str:
        often = "" if len(found) <= 20 else f"\n... and {len(found) - 20} more"
        return (
            f"schedule {self._schedule.name!r}, PEEP_FAULT_SEED={self._seed}\n"
            f"{self.log.story()}\n\n" + "\n".join(found[:20]) + often
        )

    def _final_state(self) -> FinalState:
        counters = self.services[0].counters()
        with self.redis.client() as client:
            names = list(client.scan_iter(keys.INSTANCE + "*"))
            processes = {
                name.removeprefix(keys.INSTANCE): int(client.hget(name, "process_id") or 0) for name in names
            }
        traffic = [self.services[0].user_record(name).week for name in (*self.usernames, STRANGERS)]
        recorded = {
            "octets": sum(one.octets for one in traffic),
            "retrieved": sum(one.messages for one in traffic),
        }
        return FinalState(counted(asdict(counters)), processes, message_files(self.mail.iterdir()), recorded)

    def _bugs(self) -> Iterator[str]:
        for line in self.services[0].log.read_text().splitlines():
            try:
                event = json.loads(line).get("event", "")
            except ValueError:
                yield f"log: {line}"
            else:
                if event == "bug":
                    yield f"log: {line}"

    # What happens when

    def _go_through(self, track: str, faults: tuple[str, ...], pauses: tuple[float, float]) -> None:
        draws = self._draws(track)
        while faults and not self._ending.wait(draws.uniform(*pauses)):
            getattr(self, draws.choice(faults))(draws)

    def _draws(self, what: str) -> random.Random:
        return random.Random(f"{self._seed} {what}")

    def _addresses(self) -> list[tuple[str, int]]:
        return [service.address for service in self.services]

    # Services

    def kill_worker(self, draws: random.Random) -> None:
        """Kill one worker outright; its supervisor starts another."""
        service = draws.choice(self.services)
        worker = draws.choice(_workers(service))
        self._kill([worker], f"worker {worker}")
        # The supervisor gives up after five deaths within ten seconds, which is not what is tested here.
        wait_until(lambda: worker not in _workers(service), "the killed worker is gone")
        wait_until(lambda: len(_workers(service)) == WORKERS, "another worker is started")
        self._ending.wait(1.5)

    def kill_service(self, draws: random.Random) -> None:
        """Kill a service with all its processes, as the end of its container does, and start it again."""
        service = draws.choice(self.services)
        self._kill(_workers(service), f"service {service.process.pid} and its workers", service.process.pid)
        service.process.wait()
        self._restart(service)

    def kill_supervisor(self, draws: random.Random) -> None:
        """Kill the parent of the workers only: they end in good order, and tell everything."""
        service = draws.choice(self.services)
        self.log.tell(f"supervisor {service.process.pid} is killed")
        with self._farewell(_workers(service)) as workers:
            service.kill()
            wait_until(lambda: not any(map(_is_running, workers)), "orphaned workers end")
        self._restart(service)

    def terminate_service(self, draws: random.Random) -> None:
        """Stop a service in good order, and start it again."""
        service = draws.choice(self.services)
        self.log.tell(f"service {service.process.pid} gets SIGTERM")
        with self._farewell(_workers(service)):
            if service.terminate() != 0:
                self.log.complaints.append(
                    f"service {service.process.pid} ended with {service.process.returncode}"
                )
        self._restart(service)

    @contextlib.contextmanager
    def _farewell(self, workers: list[int]) -> Iterator[list[int]]:
        begin = time.monotonic()
        yield workers
        self.log.farewells |= dict.fromkeys(workers, Span(begin, time.monotonic()))

    def stop_worker(self, draws: random.Random) -> None:
        """Stop a worker for less than its lease."""
        worker = draws.choice(_workers(draws.choice(self.services)))
        self._stop(worker, draws.uniform(0.5, 3.0))
        self._go_on(worker)

    def stop_worker_beyond_its_lease(self, draws: random.Random) -> None:
        """Stop a worker until others have long taken its maildrops; a client's QUIT waits for it.

        Its supervisor stands still with it, as on a machine that is paused: it would end it.
        """
        sleeper = self._client("sleeper")
        sleeping: list[int] = []

        def fall_asleep(instance_id: str) -> None:
            with self.redis.client() as client:
                worker = int(client.hget(keys.INSTANCE + instance_id, "process_id") or 0)
            (supervisor,) = (one.process.pid for one in self.services if worker in _workers(one))
            os.kill(supervisor, signal.SIGSTOP)
            sleeping.extend((worker, supervisor))
            self._stop(worker, LEASE_SECONDS + draws.uniform(1.5, 2.5))

        def wake() -> None:
            if sleeping:
                worker, supervisor = sleeping
                sleeping.clear()
                self._go_on(worker)
                os.kill(supervisor, signal.SIGCONT)

        try:
            wait_until(
                lambda: sleeper.sleep_through(draws.choice(self._addresses()), fall_asleep, wake),
                "somebody has a maildrop open while its worker sleeps",
            )
        finally:
            wake()

    def _stop(self, worker: int, seconds: float) -> None:
        self.log.tell(f"worker {worker} is stopped for {seconds:.1f} s")
        self._stopped_at = time.monotonic()
        os.kill(worker, signal.SIGSTOP)
        threading.Event().wait(seconds)

    def _go_on(self, worker: int) -> None:
        os.kill(worker, signal.SIGCONT)
        self.log.stops.setdefault(worker, []).append(Span(self._stopped_at, time.monotonic()))
        self.log.tell(f"worker {worker} goes on")

    def _kill(self, workers: list[int], what: str, *others: int) -> None:
        self.log.tell(f"{what} killed")
        # Dated before it, however late this thread gets to it: what was told in between is not missed.
        self.log.kills |= dict.fromkeys(workers, time.monotonic())
        for process in (*others, *workers):
            # A worker whose supervisor is killed first may have noticed, and have ended by itself.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _restart(self, service: Pop3Process) -> None:
        try:
            service._start()
        except AssertionError as error:
            self.log.complaints.append(f"a service did not start: {str(error)[-600:]}")
            service._start()
        self.log.tell(f"service {service.process.pid} is ready")

    # Redis

    def restart_redis(self, draws: random.Random) -> None:
        """Kill Redis, and start it again with its append-only file."""
        with self._outage("redis is killed"):
            self.redis.kill()
            threading.Event().wait(draws.uniform(0.0, 1.5))
            self.redis.start()

    def pause_redis(self, draws: random.Random) -> None:
        """Let Redis keep its connections and answer nothing."""
        with self._outage("redis is stopped"):
            self.redis.pause()
            threading.Event().wait(draws.uniform(0.5, 2.0))
            self.redis.resume()

    def pause_redis_longer(self, draws: random.Random) -> None:
        """Let Redis answer nothing for so long that nobody who has to end can wait for it."""
        with self._outage("redis is stopped for longer"):
            self.redis.pause()
            threading.Event().wait(draws.uniform(2.0, 3.0))
            self.redis.resume()

    def cut_connections(self, draws: random.Random) -> None:
        """Cut every connection to Redis, some while an answer is under way."""
        with self._outage("connections to redis are cut"), self.redis.client() as client:
            for _ in range(draws.randint(1, 10)):
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                threading.Event().wait(draws.uniform(0.0, 0.05))

    def fill_redis(self, draws: random.Random) -> None:
        """Let Redis be out of memory for a moment."""
        with self._outage("redis is out of memory"), self.redis.client() as client:
            client.config_set("maxmemory", "1")
            threading.Event().wait(draws.uniform(0.2, 1.5))
            client.config_set("maxmemory", "0")

    def demote_redis(self, draws: random.Random) -> None:
        """Let Redis be read-only for a moment, as after a failover to another server."""
        with self._outage("redis is read-only"), self.redis.client() as client:
            client.replicaof("127.0.0.1", "1")
            threading.Event().wait(draws.uniform(0.2, 1.5))
            client.replicaof("NO", "ONE")

    @contextlib.contextmanager
    def _outage(self, what: str) -> Iterator[None]:
        self.log.tell(what)
        begin = time.monotonic()
        try:
            yield
        finally:
            self.log.outages.append(Span(begin, time.monotonic()))
        self.log.tell("redis is well")

    # Mail

    def deliver(self, draws: random.Random, username: str = "") -> None:
        """Let a message come, small or big."""
        username = username or draws.choice(self.usernames)
        unique_id = f"{1_700_000_000 + next(self._message_numbers)}.M{draws.randrange(10**6)}.host"
        folder = self.mail / username
        for name in ("tmp", "new", "cur"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        content = _content(draws, unique_id)
        draft = folder / "tmp" / unique_id
        draft.write_bytes(content)
        # Known before anybody can see it.
        message = Message(username, content, time.monotonic(), math.inf)
        self.log.set_message(unique_id, message)
        try:
            draft.rename(folder / "new" / unique_id)
        except PermissionError:  # the folder is read-only just now
            self.log.drop_message(unique_id)
        else:
            self.log.set_message(unique_id, replace(message, delivered=time.monotonic()))

    def move_to_cur(self, draws: random.Random) -> None:
        """Do what an IMAP server does with mail that it has seen."""
        folder = self.mail / draws.choice(self.usernames)
        for name in os.listdir(folder / "new")[:3]:
            # Removed meanwhile, or the folder is read-only.
            with contextlib.suppress(FileNotFoundError, PermissionError):
                os.rename(folder / "new" / name, folder / "cur" / f"{name}:2,S")

    def forbid_removal(self, draws: random.Random) -> None:
        """Make a user's folders read-only for a moment: nothing can be removed from them."""
        username = draws.choice(USERNAMES)
        self.log.tell(f"{username}'s folders are read-only")
        folders = [self.mail / username / name for name in ("new", "cur")]
        for folder in folders:
            folder.chmod(0o555)
        threading.Event().wait(draws.uniform(0.2, 1.0))
        for folder in folders:
            folder.chmod(0o755)
        self.log.tell(f"{username}'s folders can be written to")


def _content(draws: random.Random, unique_id: str) -> bytes:
    is_big = draws.random() < 0.1
    words = [b"", b".", b"..two dots", b"one more line of mail"]
    lines = draws.choices(words, k=draws.randint(20_000, 40_000) if is_big else draws.randint(1, 60))
    return b"\n".join([f"Subject: {unique_id}".encode(), b"", *lines, b""])


def _workers(service: Pop3Process) -> list[int]:
    process = service.process.pid
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [int(child) for child in children if _is_running(int(child))]


def _is_running(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
