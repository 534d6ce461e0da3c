"""The POP3 service as a process, its users and their mail, and a client that sends octets as they are."""

import asyncio
import ctypes
import itertools
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from state_store.credentials.hashes.imported import imported_hash
from state_store.records import Counters, HashCounts
from state_store.repository import StateRepository
from state_store.user_records import UserRecord
from support.actors import OPERATOR
from support.certificates import Authority
from support.cheap_passwords import cheap_passwords
from support.patience import patience_with_the_store
from support.redis_server import RedisServer
from support.service_process import kill, start_service

SECONDS = 30
PASSWORD = "secret"
HOST_NAME = "localhost"
"""What a test's certificate has to be issued for."""

_PR_CAPBSET_DROP = 24
_CAPABILITIES_OF_ROOT_ON_FILES = (1, 2, 3)
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.005, 0.05
_NO_LINGERING = struct.pack("ii", 1, 0)


def wait_until(holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Return as soon as `holds` says so; fail with `what` when a look that begins after so long does not."""
    deadline, pause = time.monotonic() + seconds, _SHORTEST_PAUSE_SECONDS
    while True:
        is_last = time.monotonic() >= deadline
        if holds():
            return
        assert not is_last, f"not so after {seconds:g} s: {what}"
        time.sleep(pause)
        pause = min(1.2 * pause, _LONGEST_PAUSE_SECONDS)


class Pop3Client:
    """A POP3 client that counts what it reads after the greeting."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        source: str = "127.0.0.1",
        window: int = 0,
        tls: ssl.SSLContext | None = None,
        header: bytes = b"",
    ) -> None:
        self.octets_read = 0
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS)
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.bind((source, 0))
        self.socket.connect(address)
        self.socket.sendall(header)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=HOST_NAME)
        self._file = self.socket.makefile("rb")
        self.greeting = self._file.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(octets)

    def line(self) -> bytes:
        """Return the next line with its CRLF; empty when the server has closed."""
        line = self._file.readline()
        self.octets_read += len(line)
        return line

    def ask(self, command: str) -> bytes:
        """Send a command and return the first line of its reply."""
        self.send(command.encode() + b"\r\n")
        return self.line()

    def ask_lines(self, command: str) -> list[bytes]:
        """Send a command with a multi-line reply; return its lines as sent, without first and last one."""
        status = self.ask(command)
        assert status.startswith(b"+OK"), status
        return list(iter(self._listed_line, b".\r\n"))

    def _listed_line(self) -> bytes:
        line = self.line()
        assert line.endswith(b"\r\n"), f"the reply was cut short, or has a bare LF: {line!r}"
        return line

    def rest(self) -> bytes:
        """Return everything up to the server's close."""
        rest = self._file.read()
        self.octets_read += len(rest)
        return rest

    def exchange(self, octets: bytes) -> bytes:
        """Send octets and our end of stream; return everything up to the server's close."""
        self.send(octets)
        self.socket.shutdown(socket.SHUT_WR)
        return self.rest()

    def log_in(self, username: str, password: str = PASSWORD) -> Self:
        """Log in, which has to succeed."""
        assert self.greeting.startswith(b"+OK"), self.greeting
        assert self.ask(f"USER {username}").startswith(b"+OK")
        reply = self.ask(f"PASS {password}")
        assert reply.startswith(b"+OK"), reply
        return self

    def start_tls(self, context: ssl.SSLContext) -> Self:
        """Say STLS, which has to succeed, and go on inside TLS."""
        reply = self.ask("STLS")
        assert reply.startswith(b"+OK"), reply
        self._file.close()
        self.socket = context.wrap_socket(self.socket, server_hostname=HOST_NAME)
        self._file = self.socket.makefile("rb")
        return self

    def quit(self) -> bytes:
        """Say QUIT, and return the reply once the server has closed."""
        reply = self.ask("QUIT")
        assert self.rest() == b""
        self.close()
        return reply

    def close(self) -> None:
        """Close the connection; without QUIT, as a client does that is gone."""
        self._file.close()
        self.socket.close()

    def reset(self) -> None:
        """Let the connection die with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self.close()


class Pop3Process:
    """`python -m pop3_service` on a free loopback port, and what a test does beside it."""

    def __init__(
        self,
        redis_url: str,
        folder: Path,
        *,
        workers: int = 1,
        ordinary_rights: bool = False,
        passed: Mapping[str, socket.socket] | None = None,
        periods: Mapping[str, float] | None = None,
        **settings: str,
    ) -> None:
        self.mail = folder / "mail"
        self.mail.mkdir(exist_ok=True)
        self.log = folder / "pop3-service.log"
        self.address = ("127.0.0.1", 0)
        self.tls_address = ("127.0.0.1", 0)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PEEP_")},
            "PEEP_REDIS_URL": redis_url,
            "PEEP_MAIL_DIR": str(self.mail),
            "PEEP_POP3_PORT": "0",
            "PEEP_POP3S_PORT": "0",
            "PEEP_POP3_WORKERS": str(workers),
            "PEEP_DRAIN_SECONDS": "0",
            "PEEP_LOG_FORMAT": "json",
            **settings,
        }
        before = _give_up_rights_on_files if ordinary_rights else None
        self._begin = partial(start_service, "pop3_service", before=before, passed=passed, periods=periods)
        self._stack = ExitStack()
        self._numbers = itertools.count(1)
        self._redis_url = redis_url

    def __enter__(self) -> Self:
        # The test's own: the service waits for the store as long as it does anywhere.
        self._stack.enter_context(patience_with_the_store())
        self._runner = self._stack.enter_context(asyncio.Runner())
        self.repository = StateRepository(self._redis_url)
        self._stack.callback(lambda: self._runner.run(self.repository.close()))
        self._passwords = cheap_passwords()
        self._stack.callback(self._passwords.close)
        # Short, and the test's own: the sockets of the health checks lie there, also of a killed process.
        self._environment["TMPDIR"] = self._stack.enter_context(TemporaryDirectory(prefix="peep-"))
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.process, served = self._begin(self._environment, self.log, self._stack)
        self.address = _host_and_port(served["POP3"])
        if "POP3S" in served:
            self.tls_address = _host_and_port(served["POP3S"])

    def kill(self) -> None:
        """End the process, and with it its workers, if it still runs."""
        kill(self.process)

    def check_health(self) -> tuple[int, str]:
        """Run the program's own health check; return its exit code and what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "pop3_service", "health"],
            env={**self._environment, "PEEP_POP3_PORT": str(self.address[1])},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def terminate(self) -> int:
        """Ask the process to end and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    # The state store

    def add_user(self, *messages: bytes, name: str = "") -> str:
        """Add a user with this mail, its password `PASSWORD`, and return its name."""
        name = name or f"user{next(self._numbers)}"

        async def add() -> None:
            await self.repository.add_user(name, await self._passwords.new_credential(PASSWORD), by=OPERATOR)

        self._runner.run(add())
        self.deliver(name, *messages)
        return name

    def import_user(self, password_hash: str) -> str:
        """Add a user with another server's hash and one message, and return its name."""
        name = f"imported{next(self._numbers)}"

        async def add() -> None:
            imported = imported_hash(password_hash, allow_weak=True)
            await self.repository.add_user(
                name, await self._passwords.imported_credential(imported), by=OPERATOR
            )

        self._runner.run(add())
        self.deliver(name, b"Subject: moved in\n\nHello\n")
        return name

    def hash_counts(self) -> HashCounts:
        """Return how many users have which kind of password hash."""
        return self._runner.run(self.repository.hash_counts())

    def remove_user(self, username: str) -> None:
        """Remove a user."""
        self._runner.run(self.repository.remove_user(username, by=OPERATOR))

    def set_timeout(self, seconds: int) -> None:
        """Do what `t=` does."""
        self._runner.run(self.repository.change_settings(by=OPERATOR, timeout_seconds=seconds))

    def set_max_connections(self, limit: int) -> None:
        """Do what `c=` does."""
        self._runner.run(self.repository.change_settings(by=OPERATOR, max_connections=limit))

    def set_mail_directory(self, path: Path) -> None:
        """Do what `m=` does."""
        self._runner.run(self.repository.change_settings(by=OPERATOR, mail_directory=str(path)))

    def counters(self) -> Counters:
        """Return all counters and gauges."""
        return self._runner.run(self.repository.counters())

    def process_ids(self) -> list[int]:
        """Return the processes that serve connections."""
        live = self._runner.run(self.repository.instances())
        return [status.instance.process_id for status in live]

    def lease_seconds(self) -> float:
        """Return for how long the lease of the only process still holds."""
        (status,) = self._runner.run(self.repository.instances())
        return status.lease_seconds

    def end_lease_of_the_dead(self) -> None:
        """End the leases of killed processes, as time does."""
        for status in self._runner.run(self.repository.instances()):
            self._runner.run(self.repository.end_instance(status.instance.instance_id))

    def refused_logins(self) -> Mapping[str, int]:
        """Return how many logins were refused, by reason; no reason without any."""
        refused = self._runner.run(self.repository.latencies()).refused
        return Counter({reason: count for reason, count in refused.items() if count})

    def user_record(self, username: str) -> UserRecord:
        """Return what is known of a user."""
        return self._runner.run(self.repository.user_records([username])).records[username]

    def damaged_unique_ids(self) -> int:
        """Return how many logins met a damaged `peep-unique-ids`."""
        return self._runner.run(self.repository.latencies()).damaged_unique_ids

    def logged_in_users(self) -> list[str]:
        """Return who is logged in."""
        return self._runner.run(self.repository.logged_in_users())

    def expect_free(self, username: str) -> None:
        """Wait until the maildrop of a session that ended without QUIT is free."""
        wait_until(lambda: username not in self.logged_in_users(), f"the maildrop of {username} is free")

    def expect_counters(self, wanted: Counters, seconds: float = SECONDS) -> None:
        """Wait until all counters and gauges are exactly these, and see that they stay so."""
        wait_until(lambda: self.counters() == wanted, f"{wanted}, but {self.counters()}", seconds)

    # Mail

    def deliver(self, username: str, *messages: bytes, root: Path | None = None) -> None:
        """Put messages into a user's maildir, in this order after those that are there."""
        folder = (root or self.mail) / username
        for name in ("new", "cur", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for message in messages:
            number = next(self._numbers)
            draft = folder / "tmp" / f"{1700000000 + number}.M{number}.host"
            draft.write_bytes(message)
            draft.rename(folder / "new" / draft.name)

    def files(self, username: str) -> list[str]:
        """Return the names of a user's message files."""
        return sorted(path.name for path in (self.mail / username).glob("[nc]*/*"))

    # The log

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log's entries of one kind; a line that is just being written is none yet.

        What is logged of a command may be there only after its reply is: `expect_logged` waits.
        """
        whole_lines = self.log.read_text().rpartition("\n")[0].splitlines()
        return [entry for entry in map(json.loads, whole_lines) if entry["event"] == event]

    def expect_logged(self, event: str, count: int) -> list[dict[str, Any]]:
        """Wait until there are so many entries of one kind, and return them; fail if there are more."""
        wait_until(lambda: len(self.logged(event)) >= count, f"{event} is logged {count} times")
        entries = self.logged(event)
        assert len(entries) == count, entries
        return entries

    # The port

    def connect(
        self, *, source: str = "127.0.0.1", window: int = 0, tls: ssl.SSLContext | None = None
    ) -> Pop3Client:
        """Connect, to the port inside TLS where `tls` is given, and read the first line."""
        address = self.address if tls is None else self.tls_address
        return Pop3Client(address, source=source, window=window, tls=tls)

    def log_in(self, username: str) -> Pop3Client:
        """Connect and log in."""
        client = self.connect()
        try:
            return client.log_in(username)
        except BaseException:
            client.close()
            raise

    def resident_octets(self) -> int:
        """Return how much memory the process has."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _give_up_rights_on_files() -> None:
    """Make permissions hold for root too; an ordinary user has nothing to give up."""
    if os.geteuid() == 0:
        for capability in _CAPABILITIES_OF_ROOT_ON_FILES:
            ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


Start = Callable[..., Pop3Process]
"""Starts a service with these settings."""


@contextmanager
def pop3_with_certificate(folder: Path, authority: Authority) -> Iterator[Pop3Process]:
    """Give a service over a Valkey of its own that takes plain text, STLS and implicit TLS."""
    certificate, key = authority.issue(folder)
    with (
        RedisServer() as redis_server,
        Pop3Process(
            redis_server.url, folder, PEEP_TLS_CERT_FILE=str(certificate), PEEP_TLS_KEY_FILE=str(key)
        ) as process,
    ):
        yield process
