"""The overlay with replicas behind HAProxy, as operators and clients meet it."""

import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Authority
from support.containers import PROJECT_FOLDER, Containers, require_engine
from support.docker_engine import docker_result
from support.haproxy_image import IMAGE, provide_haproxy_image
from support.pop3_process import HOST_NAME, PASSWORD, Pop3Client, wait_until
from support.scaled_containers import ADMINISTRATOR, REDIS, REPLICAS, SENTINELS, ScaledContainers

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

MESSAGE = b"Subject: greetings\n\n.one dot\n"

CLIENT = (
    "import poplib, sys; client = poplib.POP3('haproxy', 1110, timeout=30);"
    "client.user(sys.argv[1]); client.pass_(sys.argv[2]); sys.stdin.read()"
)
"""Logs in, and stays until its input ends."""

WITH_ADDRESSES = {
    "PEEP_PUBLISH_PEEP": "127.0.0.1:2110",
    "PEEP_PUBLISH_PEEPS": "[::1]:2995",
    "PEEP_PUBLISH_HTTP": "127.0.0.1:8110",
}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[ScaledContainers]:
    require_engine()
    folder = tmp_path_factory.mktemp("scale")
    certificates = folder / "certificates"
    certificates.mkdir()
    certificate, key = authority.issue(certificates)
    key.chmod(0o644)  # the containers' user is nobody's user here
    scaled = ScaledContainers(
        folder,
        PEEP_TLS_FOLDER=str(certificates),
        PEEP_TLS_CERT_FILE=f"/run/tls/{certificate.name}",
        PEEP_TLS_KEY_FILE=f"/run/tls/{key.name}",
    )
    try:
        scaled.build_and_start()
        yield scaled
    finally:
        scaled.remove()


@pytest.mark.parametrize("files", [(), (Path("compose.scale.yml"),)], ids=["alone", "with-overlay"])
def test_compose_files_are_valid(files: tuple[Path, ...]) -> None:
    require_engine()
    assert Containers(*files).compose("config", "--quiet") == ""


@pytest.mark.parametrize("name", ["PEEP_PUBLISH_PEEP", "PEEP_PUBLISH_PEEPS", "PEEP_PUBLISH_HTTP"])
@pytest.mark.parametrize("place", ["2110", ":2110"])
def test_haproxy_serves_no_administrators_on_a_port_without_an_address(name: str, place: str) -> None:
    require_engine()
    provide_haproxy_image()
    containers = Containers(Path("compose.scale.yml"), **WITH_ADDRESSES | {name: place})
    haproxy = json.loads(containers.compose("config", "--format", "json"))["services"]["haproxy"]
    environment = [f"--env={key}={value}" for key, value in haproxy["environment"].items()]
    program, *arguments = (word.replace("$$", "$") for word in haproxy["entrypoint"])
    done = docker_result("run", "--rm", *environment, f"--entrypoint={program}", IMAGE, *arguments)
    assert done.returncode == 1, done.stderr
    assert f"need an address before the port, as 127.0.0.1:2110: {place} has none" in done.stdout


def test_no_check_is_counted_or_logged(scaled: ScaledContainers) -> None:
    # `--wait` has waited until HAProxy has found replicas of all kinds well.
    assert set(scaled.counters().values()) == {0}
    log = scaled.compose("logs", "--no-log-prefix", "pop3-service")
    assert "session ended" not in log
    assert "connection refused" not in log


def test_all_containers_become_healthy_and_every_replica_is_in_use(scaled: ScaledContainers) -> None:
    found = {service: len(scaled.replicas(service)) for service in REPLICAS}
    assert found == REPLICAS
    states = {name: scaled.inspect(name, ".State.Health.Status") for name in ("haproxy", *REDIS, *SENTINELS)}
    assert set(states.values()) == {"healthy"}
    backends = {"pop3": 3, "pop3s": 3, "peep": 2, "peeps": 2, "http": 2}
    for backend, number in backends.items():
        wait_until(
            lambda backend=backend, number=number: (  # type: ignore[misc]
                list(scaled.haproxy_servers(backend).values()) == ["UP"] * number
            ),
            f"{number} replicas are up in {backend}",
        )


def test_connections_are_spread_over_all_replicas(scaled: ScaledContainers) -> None:
    clients = [Pop3Client(("127.0.0.1", scaled.pop3)) for _ in range(6)]
    instances = [client.greeting.split()[-1].partition(b"-")[0] for client in clients]
    for client in clients:
        assert client.quit().startswith(b"+OK")
    assert len(set(instances)) == REPLICAS["pop3-service"]


def test_sessions_show_the_clients_own_address(scaled: ScaledContainers) -> None:
    scaled.add_users("anna")
    program = ("/opt/venv/bin/python", "-c", CLIENT, "anna", PASSWORD)
    client = scaled.docker(
        *(
            "run",
            "--detach",
            "--interactive",
            "--network",
            f"{scaled.name}_front",
            "--entrypoint",
            program[0],
        ),
        *("peep-scale-test/pop3-service", *program[1:]),
    )
    try:
        address = scaled.address_of(client, "front")

        def shown() -> list[str]:
            sessions = scaled.get("/v1/sessions").json()["sessions"]
            return [session["address"] for session in sessions if session["username"] == "anna"]

        wait_until(lambda: shown() == [address], f"the session of {address} is shown")
    finally:
        scaled.docker("rm", "--force", client)


def test_tls_of_pop3_and_peep_is_served_through_haproxy(
    scaled: ScaledContainers, authority: Authority
) -> None:
    trusting = authority.client_context()
    scaled.add_users("bert")
    (scaled.mail / "bert" / "new" / "1700000000.M1.host").write_bytes(MESSAGE)
    with Pop3Client(("127.0.0.1", scaled.pop3s), tls=trusting) as client:
        assert len(client.log_in("bert").ask_lines("RETR 1")) == MESSAGE.count(b"\n")
        assert client.quit().startswith(b"+OK")
    with Pop3Client(("127.0.0.1", scaled.pop3)) as client:
        client.start_tls(trusting).log_in("bert")
        assert client.quit().startswith(b"+OK")
    with socket.create_connection(("127.0.0.1", scaled.peeps), timeout=10) as plain:
        check_peep_inside_tls(trusting.wrap_socket(plain, server_hostname=HOST_NAME))


def check_peep_inside_tls(connection: ssl.SSLSocket) -> None:
    with connection, connection.makefile("rb") as lines:
        connection.sendall(f"a {' '.join(ADMINISTRATOR)}\r\nv?\r\nq\r\n".encode())
        assert [line[:1] for line in lines] == [b"+", b"+", b"+"]


def test_targets_of_prometheus_have_metrics(scaled: ScaledContainers) -> None:
    rules = (PROJECT_FOLDER / "deploy" / "compose" / "prometheus" / "prometheus.yml").read_text()
    targets = re.findall(r'targets: \["(\S+)"\]', rules)
    assert len(targets) == 2
    metrics = [scaled.fetch_inside(f"http://{target}/metrics") for target in targets]
    assert "peep_store_up 1.0" in metrics[0]
    assert 'haproxy_server_status{proxy="pop3"' in metrics[1]


def test_probe_logs_in_to_each_replica_where_a_user_is_named_for_it(scaled: ScaledContainers) -> None:
    scaled.add_users("probe")
    before = scaled.counters()["historical_logins"]
    scaled.settings |= {"PEEP_PROBE_USER": "probe", "PEEP_PROBE_PASSWORD": PASSWORD}
    try:
        scaled.start("--no-deps", "haproxy")
        wait_until(
            lambda: scaled.counters()["historical_logins"] >= before + REPLICAS["pop3-service"],
            "each replica is logged in to",
            60,
        )
        assert list(scaled.haproxy_servers("pop3-login").values()) == ["UP"] * REPLICAS["pop3-service"]
        assert scaled.ask(f"p= probe {PASSWORD}-of-another") == ["+"]
        wait_until(
            lambda: "DOWN" in scaled.haproxy_servers("pop3-login").values(), "a failed probe is shown", 90
        )
        # It tells, and takes nobody's service away.
        assert list(scaled.haproxy_servers("pop3").values()) == ["UP"] * REPLICAS["pop3-service"]
    finally:
        del scaled.settings["PEEP_PROBE_USER"], scaled.settings["PEEP_PROBE_PASSWORD"]
        scaled.start("--no-deps", "haproxy")
