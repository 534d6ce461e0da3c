"""A process that may open few files: whoever comes too late is told so, and whoever is there is served."""

import contextlib
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from line_server.descriptors import RESERVED
from support.peep_program import ADMINISTRATOR, PASSWORD, PeepSession, environment, port_of
from support.pop3_process import Pop3Process, wait_until
from support.service_process import start_service

DESCRIPTORS = 100
CLIENTS = 3 * DESCRIPTORS
TOLD = b"-ERR [SYS/TEMP] the server has no room for more connections, try again later\r\n"
LOGGED = "no descriptors left for more connections"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets another process's limits")


def limit(process_id: int, descriptors: int) -> None:
    resource.prlimit(process_id, resource.RLIMIT_NOFILE, (descriptors, descriptors))


@contextmanager
def crowd(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    """Connect so often before anything is read."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address, 20)) for _ in range(count)]


def signs_in(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        with contextlib.suppress(ConnectionError):  # it was told before it asked
            client.sendall(f"a {ADMINISTRATOR} {PASSWORD}\r\n".encode())
            return client.recv(10) == b"+\r\n"
        return False


def test_pop3_clients_for_whom_there_is_no_descriptor_are_told_so(redis_url: str, tmp_path: Path) -> None:
    with Pop3Process(redis_url, tmp_path) as service:
        user = service.add_user(b"Subject: a\r\n\r\nb\r\n")
        limit(service.process.pid, DESCRIPTORS)
        with service.log_in(user) as client:
            with crowd(service.address, CLIENTS) as connected:
                lines = [each.makefile("rb").readline() for each in connected]
                greeted = [line for line in lines if line.startswith(b"+OK")]
                assert [line for line in lines if line not in greeted] == [TOLD] * (CLIENTS - len(greeted))
                assert DESCRIPTORS - RESERVED > len(greeted) > 0
                assert client.ask("RETR 1").startswith(b"+OK")
                assert [client.line() for _ in range(4)][-1] == b".\r\n"
            wait_until(lambda: service.counters().current_connections == 1, "the others are gone")
            with service.connect() as other:
                assert other.greeting.startswith(b"+OK")
            assert client.quit().startswith(b"+OK")
        log = [line for line in service.log.read_text().splitlines() if LOGGED in line]
        assert len(log) == 1
        assert f'"limit": {DESCRIPTORS}' in log[0]


def test_the_places_of_peep_are_no_more_than_its_descriptors(redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "peep-gateway.log"
    limits = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    with ExitStack() as stack:
        start_service("peep_gateway", environment(redis_url, tmp_path), log, stack, before=limits)
        port = port_of("peep_gateway", log)
        with PeepSession(port) as first, crowd(("127.0.0.1", port), 2 * DESCRIPTORS) as strangers:
            assert strangers[0].recv(10) == b"-8\r\n"
            # In the rush itself a newcomer may be told the same, until those who have to go are gone.
            wait_until(lambda: signs_in(port), "another administrator signs in")
            assert first.ask("c?") == b"+1000\r\n"


def test_a_process_takes_all_descriptors_that_it_may_have(redis_url: str, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        # Not forked, so the limits are those of this process.
        with Pop3Process(redis_url, tmp_path, ordinary_rights=True) as service:
            assert resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
