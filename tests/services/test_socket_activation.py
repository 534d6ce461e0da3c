"""Sockets that somebody else keeps open: a service is restarted under its clients, and none is refused."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, wait_until
from support.redis_kinds import free_port
from support.redis_server import RedisServer

MESSAGES = [b"Subject: one\n\n.dot\n", b"Subject: two\n\n" + b"x" * 70 + b"\n"]
CLIENTS = 50
LOOKERS_IN = 20
SECONDS = 30
FIRST_DESCRIPTOR = 3


class Visitor:
    """A client that connects and quits again and again; one with a user name logs in and fetches."""

    def __init__(self, address: tuple[str, int], username: str | None, ending: threading.Event) -> None:
        self._address = address
        self._username = username
        self._ending = ending
        self.outcomes: Counter[str] = Counter()
        self.longest_seconds = 0.0

    def run(self) -> None:
        """Go on until the end."""
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                with Pop3Client(self._address) as client:
                    self.outcomes[self._session(client)] += 1
            except OSError as error:
                self.outcomes[type(error).__name__] += 1
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)

    def _session(self, client: Pop3Client) -> str:
        """Return `whole` after a session without a fault, or the first line that was none of a good one."""
        if not client.greeting.startswith(b"+OK"):
            return repr(client.greeting)
        if self._username is not None:
            for line in (client.ask(f"USER {self._username}"), client.ask(f"PASS {PASSWORD}")):
                if not line.startswith(b"+OK"):
                    return repr(line)
            for number, message in enumerate(MESSAGES, 1):
                wire = message.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
                if b"".join(client.ask_lines(f"RETR {number}")) != wire:
                    return "another message"
        last = client.ask("QUIT")
        return "whole" if last.startswith(b"+OK") and client.rest() == b"" else repr(last)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def kept(stack: ExitStack) -> socket.socket:
    """Give a listening socket that stays open whatever happens to the service."""
    return stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))


@pytest.mark.parametrize(("services", "workers"), [(1, 1), (1, 2), (2, 1)])
def test_no_client_is_refused_or_cut_off_while_services_are_restarted_in_turn_on_a_socket_that_stays_open(
    redis_server: RedisServer,
    tmp_path: Path,
    stack: ExitStack,
    kept: socket.socket,
    services: int,
    workers: int,
) -> None:
    ending = threading.Event()

    def start() -> Pop3Process:
        return stack.enter_context(
            Pop3Process(
                redis_server.url, tmp_path, workers=workers, passed={"pop3": kept}, PEEP_DRAIN_SECONDS="30"
            )
        )

    def all_come_again() -> None:
        before = [visitor.outcomes["whole"] for visitor in visitors]
        wait_until(
            lambda: all(one.outcomes["whole"] > visits for one, visits in zip(visitors, before, strict=True)),
            "all are served",
        )

    running = [start() for _ in range(services)]
    assert running[0].address == kept.getsockname()
    usernames = [running[0].add_user(*MESSAGES) for _ in range(CLIENTS)]
    # Those who only look in come so often that a gap between two owners of the port would show.
    visitors = [Visitor(kept.getsockname(), name, ending) for name in usernames + [None] * LOOKERS_IN]
    threads = ThreadPoolExecutor(len(visitors))
    stack.callback(threads.shutdown)
    stack.callback(ending.set)
    work = [threads.submit(visitor.run) for visitor in visitors]
    all_come_again()
    for _ in range(2):
        assert running.pop(0).terminate() == 0
        running.append(start())
        all_come_again()
    ending.set()
    for one in work:
        one.result()
    outcomes = sum((visitor.outcomes for visitor in visitors), Counter())
    longest = max(visitor.longest_seconds for visitor in visitors)
    print(f"{dict(outcomes)}, the longest took {longest:.2f} s")
    assert set(outcomes) == {"whole"}


# The first client starts the service


def greeted(address: tuple[str, int]) -> bool:
    with Pop3Client(address) as client:
        return client.greeting.startswith(b"+OK") and client.ask("QUIT").startswith(b"+OK")


def answers_peep(address: tuple[str, int]) -> bool:
    with socket.create_connection(address, SECONDS) as client:
        client.sendall(b"cap?\r\n")
        return client.recv(1) == b"+"


def answers_http(address: tuple[str, int]) -> bool:
    with socket.create_connection(address, SECONDS) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return client.recv(12) == b"HTTP/1.1 200"


@pytest.mark.skipif(not Path("/usr/bin/systemd-socket-activate").exists(), reason="needs systemd's own tool")
@pytest.mark.parametrize(
    ("program", "name", "is_answered"),
    [
        ("pop3_service", "pop3", greeted),
        ("peep_gateway", "peep", answers_peep),
        ("state_api", "http", answers_http),
    ],
)
def test_systemds_own_tool_starts_each_service_for_its_first_client_and_is_told_how_it_is(
    redis_url: str,
    tmp_path: Path,
    stack: ExitStack,
    program: str,
    name: str,
    is_answered: Callable[[tuple[str, int]], bool],
) -> None:
    address = ("127.0.0.1", free_port())
    manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(SECONDS)
    settings = {
        "PEEP_REDIS_URL": redis_url,
        "PEEP_MAIL_DIR": str(tmp_path),
        "PEEP_ADMINS": "bob:sesame",
        "PEEP_LOG_FORMAT": "json",
        "PEEP_DRAIN_SECONDS": "0",
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "600000000",
        "TMPDIR": str(tmp_path),
    }
    log = stack.enter_context((tmp_path / "log").open("wb"))
    process = subprocess.Popen(
        [
            "/usr/bin/systemd-socket-activate",
            f"--listen={address[0]}:{address[1]}",
            f"--fdname={name}",
            *(f"--setenv={variable}={value}" for variable, value in settings.items()),
            *(sys.executable, "-m", program),
        ],
        stdout=log,
        stderr=log,
    )
    stack.callback(process.wait, SECONDS)
    stack.callback(process.kill)

    def is_listening() -> bool:
        return "Listening on" in (tmp_path / "log").read_text()

    wait_until(is_listening, "systemd-socket-activate listens")
    assert is_answered(address), (tmp_path / "log").read_text()
    told = [manager.recv(4096).decode().split("\n") for _ in range(2)]
    assert told[0] == ["WATCHDOG=1"]
    ready, status = told[1]
    assert ready == "READY=1"
    assert status.startswith("STATUS=serving ")
    assert f"127.0.0.1:{address[1]}" in status
    process.send_signal(signal.SIGHUP)
    assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert manager.recv(4096).decode().split("\n") == ["READY=1", status]
    assert is_answered(address)
    process.terminate()
    assert manager.recv(4096).startswith(b"STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000\n")
    assert process.wait(SECONDS) == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers by /proc")
def test_workers_inherit_the_socket_and_nothing_of_systemds_and_a_pool_that_stands_still_is_silent(
    redis_url: str, tmp_path: Path, stack: ExitStack, kept: socket.socket
) -> None:
    manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    manager.bind(str(tmp_path / "notify"))
    service = stack.enter_context(
        Pop3Process(
            redis_url,
            tmp_path,
            workers=2,
            passed={"pop3": kept},
            NOTIFY_SOCKET=str(tmp_path / "notify"),
            WATCHDOG_USEC="150000",
        )
    )
    parent = service.process.pid
    workers = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    assert len(workers) == 2
    for worker in workers:
        variables = Path(f"/proc/{worker}/environ").read_bytes()
        assert not any(name in variables for name in (b"NOTIFY_", b"WATCHDOG_", b"LISTEN_"))

    def is_silent() -> bool:
        manager.settimeout(1)
        try:
            manager.recv(4096)
        except TimeoutError:
            return True
        return False

    for worker in workers:
        os.kill(int(worker), signal.SIGSTOP)
    wait_until(is_silent, "the watchdog hears nothing")
    for worker in workers:
        os.kill(int(worker), signal.SIGCONT)
    manager.settimeout(SECONDS)
    assert manager.recv(4096) == b"WATCHDOG=1"
    assert greeted(service.address)
