from __future__ import annotations

import json
import poplib
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from e2e.conftest import Containers
from support.pop3_process import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

SERVICES = ("redis", "pop3-service", "peep-gateway", "state-api")

MESSAGE = b"\r\n".join(
    [
        b"From: alice@example.org",
        b"To: alice@example.org",
        b"Subject: greetings",
        b"",
        "Grüße".encode(),
        b".one dot at the start",
        b"..two dots",
        b".",
        b"the last line",
        b"",
    ]
)

# What PEEP says, and where HTTP says the same.
COUNTERS = {
    b"rb?": "retrieved_bytes",
    b"re?": "retrieved_emails",
    b"xe?": "removed_emails",
    b"hc?": "historical_connections",
    b"hu?": "historical_logins",
    b"cc?": "current_connections",
}


class Administrator:
    """A PEEP session through the published port."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")

    def ask(self, command: bytes) -> bytes:
        self._connection.sendall(command + b"\r\n")
        return self._lines.readline().removesuffix(b"\r\n")

    def ask_for_lines(self, command: bytes) -> list[bytes]:
        number = int(self.ask(command))
        return [self._lines.readline().removesuffix(b"\r\n") for _ in range(number)]

    def close(self) -> None:
        self._lines.close()


@contextmanager
def administrator(containers: Containers, name: str = "admin", password: str = "") -> Iterator[Administrator]:
    with socket.create_connection(("127.0.0.1", containers.peep), timeout=30) as connection:
        session = Administrator(connection)
        try:
            login = f"a {name} {password or containers.generated_password()}"
            assert session.ask(login.encode()) == b"+"
            yield session
        finally:
            session.close()


@pytest.fixture
def alice(containers: Containers) -> None:
    """A user with one message, whatever the tests before left."""
    with administrator(containers) as session:
        assert session.ask(b"u+ alice secret") in {b"+", b"-3"}
    containers.deliver("alice", "1764000000.M1P1.host", MESSAGE.replace(b"\r\n", b"\n"))


def log_in(containers: Containers) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", containers.pop3, timeout=30)
    client.user("alice")
    client.pass_("secret")
    return client


def counters_over_peep(containers: Containers) -> dict[str, int]:
    with administrator(containers) as session:
        return {name: int(session.ask(command)) for command, name in COUNTERS.items()}


def settled_counters(containers: Containers, connections: int = 0) -> dict[str, int]:
    """Return the counters once so many are connected, and two looks in a row see the same.

    A connection's end is told with all that was counted of it, and a reply within 100 ms.
    """
    seen: list[dict[str, int]] = [{}]

    def are_settled() -> bool:
        time.sleep(0.15)
        seen.append(counters_over_peep(containers))
        return seen[-1] == seen[-2] and seen[-1]["current_connections"] == connections

    wait_until(are_settled, f"{connections} are connected, and all is counted")
    return seen[-1]


def counters_over_http(containers: Containers) -> dict[str, int]:
    answer = httpx.get(
        f"http://127.0.0.1:{containers.http}/v1/counters",
        auth=("admin", containers.generated_password()),
        timeout=30,
    )
    answer.raise_for_status()
    return {name: answer.json()[name] for name in COUNTERS.values()}


def test_all_four_are_healthy(containers: Containers) -> None:
    states = {service: containers.inspect(service, ".State.Health.Status") for service in SERVICES}
    assert states == dict.fromkeys(SERVICES, "healthy")


@pytest.mark.usefixtures("alice")
def test_a_message_comes_back_octet_for_octet(containers: Containers) -> None:
    client = log_in(containers)
    lines = client.retr(1)[1]
    client.quit()
    assert b"\r\n".join([*lines, b""]) == MESSAGE
    fetched = subprocess.run(
        ("curl", "--silent", "--fail", f"pop3://alice:secret@127.0.0.1:{containers.pop3}/1"),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert fetched.stdout == MESSAGE


@pytest.mark.usefixtures("alice")
def test_peep_counts_a_session(containers: Containers) -> None:
    before = settled_counters(containers)
    client = log_in(containers)
    client.retr(1)
    with administrator(containers) as session:
        assert session.ask_for_lines(b"cu?") == [b"alice"]
        wait_until(lambda: session.ask(b"cc?") == b"+1", "she alone is connected")
    client.dele(1)
    client.quit()
    after = settled_counters(containers)
    grown = {name: after[name] - before[name] for name in COUNTERS.values()}
    assert grown.pop("retrieved_bytes") > len(MESSAGE)
    assert grown == {
        "retrieved_emails": 1,
        "removed_emails": 1,
        "historical_connections": 1,
        "historical_logins": 1,
        "current_connections": 0,
    }


@pytest.mark.usefixtures("alice")
def test_http_shows_the_counters_that_peep_shows(containers: Containers) -> None:
    over_peep = settled_counters(containers)
    over_http = counters_over_http(containers)
    assert over_http == over_peep
    assert over_http["historical_logins"] > 0


@pytest.mark.usefixtures("alice")
def test_a_restart_of_all_containers_keeps_users_settings_counters_and_mail(containers: Containers) -> None:
    with administrator(containers) as session:
        assert session.ask(b"t= 1234") == b"+"
    open_session = log_in(containers)
    before = settled_counters(containers, connections=1)
    before["current_connections"] = 0
    containers.compose("restart")
    containers.start()
    open_session.close()
    with administrator(containers) as session:
        assert session.ask(b"t?") == b"+1234"
    assert settled_counters(containers) == before
    with administrator(containers) as session:
        assert session.ask_for_lines(b"cu?") == []
    client = log_in(containers)
    assert client.stat()[0] == 1
    client.quit()


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_can_do_no_more_than_it_must(containers: Containers, service: str) -> None:
    user = containers.inspect(service, ".Config.User")
    assert int(user.partition(":")[0]) > 0
    assert containers.inspect(service, ".HostConfig.ReadonlyRootfs") == "true"
    assert containers.inspect(service, "json .HostConfig.CapDrop") == '["ALL"]'
    assert "no-new-privileges:true" in containers.inspect(service, "json .HostConfig.SecurityOpt")


def test_a_port_without_an_address_is_published_beyond_this_machine_for_pop3_alone(
    containers: Containers,
) -> None:
    published = {
        service: {
            line.split(" -> ")[1].rpartition(":")[0]
            for line in containers.docker("port", containers.container(service)).splitlines()
        }
        for service in SERVICES
    }
    assert not {"127.0.0.1", "::1"} & published.pop("pop3-service")
    assert published == {"redis": set(), "peep-gateway": {"127.0.0.1"}, "state-api": {"127.0.0.1"}}


@pytest.mark.parametrize("service", SERVICES)
def test_the_engine_holds_a_container_to_its_limits(containers: Containers, service: str) -> None:
    wanted = json.loads(containers.compose("config", "--format", "json"))["services"][service]
    limits = wanted["deploy"]["resources"]["limits"]
    assert containers.inspect(service, ".HostConfig.Memory") == str(limits["memory"])
    assert containers.inspect(service, ".HostConfig.PidsLimit") == str(limits["pids"])
    assert (
        json.loads(containers.inspect(service, "json .HostConfig.LogConfig.Config"))
        == (wanted["logging"]["options"])
    )
    threads = len(containers.docker("top", containers.container(service), "-eLo", "pid").splitlines()) - 1
    assert 0 < threads < limits["pids"] / 4


def test_a_stop_ends_every_container_cleanly(containers: Containers) -> None:
    containers.compose("stop")
    codes = {service: containers.inspect(service, ".State.ExitCode") for service in SERVICES}
    containers.start()
    assert codes == dict.fromkeys(SERVICES, "0")


def test_administrators_come_from_a_file_secret(containers: Containers, tmp_path: Path) -> None:
    secret = tmp_path / "admins"
    secret.write_text("root:of-all\n")
    # The containers' user is nobody's user here, so the file and the way to it have to be open to it.
    secret.chmod(0o644)
    containers.settings["PEEP_ADMINS_SECRET"] = str(secret)
    containers.start(
        "--force-recreate", "peep-gateway"
    )  # Compose does not see that a secret's file is another
    try:
        with administrator(containers, "root", "of-all") as session:
            assert session.ask(b"c?") == b"+1000"
    finally:
        del containers.settings["PEEP_ADMINS_SECRET"]
