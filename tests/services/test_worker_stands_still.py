"""Clients who come while a worker is dead, stands still or leaves: others serve them."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.certificates import Authority
from support.pop3_process import Pop3Process, wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers by /proc")

CLIENTS = 32
"""More than one worker would let in before the other has come to its turn."""


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def service(redis_url: str, tmp_path: Path, authority: Authority) -> Iterator[Pop3Process]:
    certificate, key = authority.issue(tmp_path)
    with Pop3Process(
        redis_url,
        tmp_path,
        workers=2,
        PEEP_TLS_CERT_FILE=str(certificate),
        PEEP_TLS_KEY_FILE=str(key),
        PEEP_DRAIN_SECONDS="20",
    ) as service:
        yield service


def workers(service: Pop3Process) -> list[int]:
    parent = service.process.pid
    return [int(number) for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def worker_of(service: Pop3Process, username: str) -> int:
    """Return the process in which a user is logged in."""
    run, repository = service._runner.run, service.repository

    def found() -> list[str]:
        return [row.instance_id for row in run(repository.sessions()) if row.username == username]

    wait_until(lambda: bool(found()), "the session is written down")
    instances = {status.instance.instance_id: status.instance for status in run(repository.instances())}
    return instances[found()[0]].process_id


def expect_all_to_be_served(service: Pop3Process) -> None:
    with ExitStack() as stack:
        connected = [
            stack.enter_context(socket.create_connection(service.address, 20)) for _ in range(CLIENTS)
        ]
        assert [client.recv(4) for client in connected] == [b"+OK "] * CLIENTS


def test_clients_of_a_worker_that_stands_still_for_a_while_are_served_by_the_other(
    service: Pop3Process, authority: Authority
) -> None:
    username = service.add_user(b"Subject: kept\n\n")
    before = workers(service)
    with service.log_in(username) as client:
        still = worker_of(service, username)
        os.kill(still, signal.SIGSTOP)
        expect_all_to_be_served(service)
        for _ in range(8):
            with service.connect(tls=authority.client_context()) as other:
                assert other.greeting.startswith(b"+OK")
        os.kill(still, signal.SIGCONT)
        assert client.ask("NOOP").startswith(b"+OK")
        expect_all_to_be_served(service)
    assert workers(service) == before
    assert "gives no sign of life" not in service.log.read_text()


def test_clients_who_wait_for_a_worker_that_is_killed_are_served_by_the_other(service: Pop3Process) -> None:
    victim = workers(service)[0]
    os.kill(victim, signal.SIGSTOP)
    with ExitStack() as stack:
        waiting = [stack.enter_context(socket.create_connection(service.address, 20)) for _ in range(CLIENTS)]
        os.kill(victim, signal.SIGKILL)
        assert [client.recv(4) for client in waiting] == [b"+OK "] * CLIENTS
    wait_until(lambda: service.log.read_text().count("worker_started_again") == 1, "another is started")
    expect_all_to_be_served(service)


def test_clients_of_a_worker_that_leaves_alone_are_served_by_the_other(service: Pop3Process) -> None:
    username = service.add_user(b"Subject: kept\n\n")
    with service.log_in(username) as client:
        leaving = worker_of(service, username)
        os.kill(leaving, signal.SIGTERM)
        for _ in range(3):
            expect_all_to_be_served(service)
        assert client.ask("NOOP").startswith(b"+OK")
        assert leaving in workers(service)
        assert client.quit().startswith(b"+OK")
    wait_until(lambda: service.log.read_text().count("worker_started_again") == 1, "another is started")
    expect_all_to_be_served(service)


def test_the_ports_are_free_once_the_service_has_ended_though_a_worker_stood_still(
    service: Pop3Process,
) -> None:
    still = workers(service)[0]
    os.kill(still, signal.SIGSTOP)
    expect_all_to_be_served(service)
    os.kill(still, signal.SIGCONT)
    assert service.terminate() == 0
    for address in (service.address, service.tls_address):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 5)


def test_a_worker_whose_supervisor_dies_with_answers_unread_ends(service: Pop3Process) -> None:
    orphans = workers(service)
    os.kill(service.process.pid, signal.SIGSTOP)
    service.kill()
    wait_until(
        lambda: not any(Path(f"/proc/{orphan}/task").exists() for orphan in orphans), "both have ended"
    )
