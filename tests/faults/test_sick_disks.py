"""A disk that hangs or fails troubles those whose mail lies there, and nobody else."""

import errno
import os
import select
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pop3_service.maildir.remembered import GRAIN_SECONDS
from support.clients import require
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, wait_until
from support.redis_server import RedisServer

SOURCE = Path(__file__).parents[1] / "support" / "sick_disk.c"
CONTENT = b"Subject: one\n\ntwo\n"
SECONDS = 30
"""How long the sick disk takes for each call: longer than any of these tests."""
SOON = 0.2
MUCH_LATER = 5.0
"""What a healthy disk's users wait for a reply, in seconds: as a rule, and at the most on a busy machine."""

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="LD_PRELOAD is Linux's")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("cc")
    library = tmp_path_factory.mktemp("sick") / "sick_disk.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


class SickDisk:
    """A service some of whose files are on a disk that falls sick."""

    def __init__(self, service: Pop3Process, switch: Path) -> None:
        self.service = service
        self._switch = switch

    def falls_sick(self) -> None:
        self._switch.touch()

    def recovers(self) -> None:
        self._switch.unlink(missing_ok=True)

    def user(self, mark: str, number: int) -> str:
        return self.service.add_user(CONTENT, name=f"user-{mark}-{number}")


@contextmanager
def running(library: Path, folder: Path) -> Iterator[SickDisk]:
    switch = folder / "sick"
    with (
        RedisServer() as server,
        Pop3Process(
            server.url,
            folder,
            LD_PRELOAD=str(library),
            SICK_DISK=str(switch),
            SICK_SECONDS=str(SECONDS),
        ) as service,
    ):
        yield SickDisk(service, switch)


@pytest.fixture
def disk(library: Path, tmp_path: Path) -> Iterator[SickDisk]:
    """Give a disk that may hang, with a process of its own: what hangs goes on after a test."""
    with running(library, tmp_path) as disk:
        yield disk


@pytest.fixture(scope="module")
def failing_disk(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SickDisk]:
    with running(library, tmp_path_factory.mktemp("failing")) as disk:
        yield disk


def waiting(clients: ExitStack, client: Pop3Client, *commands: str) -> Pop3Client:
    """Have a client send these, and wait for a last reply that does not come."""
    clients.enter_context(client)
    *first, last = commands
    for command in first:
        assert client.ask(command).startswith(b"+OK")
    client.send(f"{last}\r\n".encode())
    return client


def still_wait(*clients: Pop3Client) -> bool:
    return not select.select([client.socket for client in clients], [], [], 0)[0]


def noop_times(client: Pop3Client, seconds: float = 1.0) -> list[float]:
    """Return how long each NOOP took that fitted into so many seconds."""
    times, until = [], time.monotonic() + seconds
    while (began := time.monotonic()) < until:
        assert client.ask("NOOP").startswith(b"+OK")
        times.append(time.monotonic() - began)
    return times


def expect_healthy(client: Pop3Client) -> None:
    """See that a client of a healthy disk is served as if nothing were."""
    times = noop_times(client)
    assert statistics.median(times) < SOON
    assert max(times) < MUCH_LATER


def logged_in_soon(service: Pop3Process, username: str) -> None:
    """Log in, read and end; all of it long before the sick disk has answered anything."""
    began = time.monotonic()
    with service.log_in(username) as client:
        assert client.ask_lines("RETR 1")
        assert client.quit().startswith(b"+OK")
    assert time.monotonic() - began < MUCH_LATER


def test_first_logins_on_a_disk_that_hangs_stop_nobody_else(disk: SickDisk) -> None:
    known, new = disk.user("healthy", 1), disk.user("healthy", 2)
    users = [disk.user("slow", number) for number in range(12)]
    with ExitStack() as clients:
        watcher = clients.enter_context(disk.service.log_in(disk.user("healthy", 3)))
        logged_in_soon(disk.service, known)
        disk.falls_sick()
        slow = [
            waiting(clients, disk.service.connect(), f"USER {user}", f"PASS {PASSWORD}") for user in users
        ]
        expect_healthy(watcher)
        for username in (known, new):
            logged_in_soon(disk.service, username)
        assert still_wait(*slow)


def test_a_disk_that_hangs_later_stops_only_those_whose_mail_is_there(disk: SickDisk) -> None:
    user, other = disk.user("slow", 1), disk.user("healthy", 1)
    # Of these the maildir can be had, and the message cannot.
    reader, remover, comer = (disk.service.add_user() for _ in range(3))
    for username in (reader, remover, comer):
        (disk.service.mail / username / "new" / "1-slow-message").write_bytes(CONTENT)
    with ExitStack() as clients:
        watcher = clients.enter_context(disk.service.log_in(disk.user("healthy", 2)))
        for _ in range(2):
            for username in (user, other, comer):
                logged_in_soon(disk.service, username)
            noop_times(watcher, GRAIN_SECONDS)  # the next listing is remembered
        sessions = [disk.service.log_in(username) for username in (reader, remover)]
        disk.falls_sick()
        slow = [waiting(clients, sessions[0], "RETR 1"), waiting(clients, sessions[1], "DELE 1", "QUIT")]
        slow.append(waiting(clients, disk.service.connect(), f"USER {user}", f"PASS {PASSWORD}"))
        # A login needs the folders only: those who have one sick message wait when they fetch it.
        slow.append(waiting(clients, disk.service.log_in(comer), "RETR 1"))
        expect_healthy(watcher)
        logged_in_soon(disk.service, other)
        assert still_wait(*slow)


def test_a_process_whose_threads_hang_renews_its_lease_and_ends_when_told(disk: SickDisk) -> None:
    user = disk.user("slow", 1)
    with ExitStack() as clients:
        disk.falls_sick()
        waiting(clients, disk.service.connect(), f"USER {user}", f"PASS {PASSWORD}")
        first = disk.service.lease_seconds()
        lowest = [first]

        def is_renewed() -> bool:
            lowest.append(min(lowest[-1], disk.service.lease_seconds()))
            return disk.service.lease_seconds() > lowest[-1] + 1

        wait_until(is_renewed, "the lease is renewed", 15)
        began = time.monotonic()
        assert disk.service.terminate() == 0
        assert time.monotonic() - began < MUCH_LATER


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EMFILE, b"[SYS/TEMP]"),
        (errno.ENFILE, b"[SYS/TEMP]"),
        (errno.ESTALE, b"[SYS/TEMP]"),
        (errno.EIO, b"[SYS/TEMP]"),
        (errno.ENOSPC, b"[SYS/TEMP]"),
        (errno.EACCES, b"[SYS/PERM]"),
        (errno.ENOTDIR, b"[SYS/PERM]"),
    ],
)
def test_a_failing_disk_hides_no_mail_and_is_told_for_what_it_is(
    failing_disk: SickDisk, number: int, code: bytes
) -> None:
    service = failing_disk.service
    user = service.add_user(CONTENT)
    (service.mail / user / "new" / f"1-errno-{number}-x").write_bytes(CONTENT)
    try:
        with service.connect() as client:
            failing_disk.falls_sick()
            assert client.ask(f"USER {user}").startswith(b"+OK")
            assert client.ask(f"PASS {PASSWORD}").startswith(b"-ERR " + code)
            failing_disk.recovers()
            client.log_in(user)
            assert client.ask("STAT").startswith(b"+OK 2 ")
            failing_disk.falls_sick()
            for command in ("RETR 1", "TOP 1 1"):
                assert client.ask(command).startswith(b"-ERR " + code)
            failing_disk.recovers()
            assert client.ask_lines("RETR 1")
    finally:
        failing_disk.recovers()
