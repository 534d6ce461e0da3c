"""The chart's manifest, executed: its pods run on the engine, serve, pass their probes, and end in time."""

import hashlib
import poplib
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from support.certificates import Authority
from support.containers import require_engine
from support.docker_engine import build_images, forget_images
from support.kubernetes_page import commands
from support.manifests import chart
from support.pods import Cluster, Pod
from support.pop3_process import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

MESSAGE = b"From: alice@example.org\r\nSubject: greetings\r\n\r\n.one dot\r\nthe last line\r\n"

DRAIN_SECONDS = 2


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def cluster(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """All pods of the chart with its own Redis and with TLS, started."""
    require_engine()
    repository, tag = f"peep-pods-{secrets.token_hex(4)}", "test"
    manifest = chart(
        image__repository=repository,
        image__tag=tag,
        drainSeconds=DRAIN_SECONDS,
        pop3Service__replicas=2,
        tls__existingSecret="pop-tls",
        tls__required="false",
    )
    build_images(repository, tag)
    tls = certificate(authority, tmp_path_factory.mktemp("tls"))
    cluster = Cluster(manifest, f"{repository}/pop3-service:{tag}", {"pop-tls": tls})
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
        forget_images(repository, tag)


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> None:
    """A user, made as docs/kubernetes.md does it, with one message in the volume that the pods share."""
    (words,) = (words for words in commands("curl") if "--json" in words)
    host, port = cluster.of("state-api")[0].port_behind(8110)
    httpx.post(
        words[-1].replace("127.0.0.1:8110", f"{host}:{port}"),
        content=words[words.index("--json") + 1],
        headers={"Content-Type": "application/json"},
        auth=("admin", password(cluster)),
        timeout=30,
    ).raise_for_status()
    deliver(cluster, MESSAGE.decode().replace("\r\n", "\n"))


def deliver(cluster: Cluster, message: str) -> None:
    """Put a message into alice's maildir by the command that docs/kubernetes.md has for it."""
    (words,) = (words for words in commands("kubectl") if "exec" in words)
    cluster.of("pop3-service")[0].execute(*words[words.index("--") + 1 :], content=message)


def certificate(authority: Authority, folder: Path) -> dict[str, str]:
    """A Secret of type kubernetes.io/tls."""
    chain, key = authority.issue(folder)
    return {"tls.crt": chain.read_text(), "tls.key": key.read_text()}


def password(cluster: Cluster) -> str:
    return cluster.volumes.secrets["peep-administrators"]["password"]


class Peep:
    """A PEEP session of the administrator whom the chart has made."""

    def __init__(self, cluster: Cluster) -> None:
        gateway = cluster.of("peep-gateway")[0]
        self._connection = socket.create_connection(gateway.port_behind(2110), timeout=30)
        self._lines = self._connection.makefile("r", encoding="ascii", newline="\r\n")
        assert self.ask(f"a admin {password(cluster)}") == "+"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.close()
        self._connection.close()

    def ask(self, command: str) -> str:
        self._connection.sendall(f"{command}\r\n".encode())
        return self._lines.readline().removesuffix("\r\n")


def log_in(client: poplib.POP3) -> poplib.POP3:
    client.user("alice")
    client.pass_("secret")
    return client


def fetched(client: poplib.POP3) -> bytes:
    message = b"\r\n".join([*log_in(client).retr(1)[1], b""])
    client.quit()
    return message


def counters(cluster: Cluster) -> dict[str, Any]:
    host, port = cluster.of("state-api")[0].port_behind(8110)
    answer = httpx.get(
        f"http://{host}:{port}/v1/counters", auth=("admin", password(cluster)), timeout=30
    ).raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.usefixtures("alice")
def test_every_pod_behind_the_service_gives_the_message(cluster: Cluster) -> None:
    before = counters(cluster)["retrieved_emails"]
    pods = cluster.of("pop3-service")
    assert len(pods) == 2
    for pod in pods:
        assert fetched(poplib.POP3(*pod.port_behind(110), timeout=30)) == MESSAGE
    deadline = time.monotonic() + 10
    while counters(cluster)["retrieved_emails"] != before + len(pods):  # replies are counted within 100 ms
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.usefixtures("alice")
def test_peep_sees_the_connections_of_all_pods(cluster: Cluster) -> None:
    clients = [poplib.POP3(*pod.port_behind(110), timeout=30) for pod in cluster.of("pop3-service")]
    with Peep(cluster) as session:
        wait_until(lambda: session.ask("cc?") == f"+{len(clients)}", "they alone are connected")
    for client in clients:
        client.quit()


@pytest.mark.parametrize("component", ["redis", "pop3-service", "peep-gateway", "state-api"])
def test_every_probe_succeeds(cluster: Cluster, component: str) -> None:
    verdicts = {
        (pod.name, probe): pod.passes(probe) for pod in cluster.of(component) for probe in pod.probes()
    }
    assert len(verdicts) == 3 * len(cluster.of(component))
    assert all(verdicts.values()), verdicts


def test_without_redis_state_api_is_not_ready_and_nobody_is_started_anew(cluster: Cluster) -> None:
    (redis,) = cluster.of("redis")
    api = cluster.of("state-api")[0]
    redis.freeze()
    try:
        assert not api.probe("readiness")
        assert all(pod.passes("liveness") for pod in cluster.pods if pod is not redis)
        assert not redis.probe("readiness")
    finally:
        redis.thaw()
    deadline = time.monotonic() + 30
    while not api.probe("readiness"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("component", ["redis", "pop3-service", "peep-gateway", "state-api"])
def test_a_pod_can_do_no_more_than_it_must(cluster: Cluster, component: str) -> None:
    for pod in cluster.of(component):
        status = dict(line.split(":\t", 1) for line in pod.execute("cat", "/proc/1/status").splitlines())
        assert 0 not in {int(number) for number in status["Uid"].split()}
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"


def test_secrets_are_read_through_the_group_alone(cluster: Cluster) -> None:
    pod = cluster.of("peep-gateway")[0]
    status = pod.execute("stat", "--dereference", "--format=%a %u", "/run/peep/administrators/administrators")
    assert status == "440 0"


@pytest.mark.usefixtures("alice")
def test_a_renewed_certificate_is_taken_up_without_a_restart(
    cluster: Cluster, authority: Authority, tmp_path: Path
) -> None:
    pod = cluster.of("pop3-service")[0]
    before = served_certificate(pod, authority)
    assert fetched(poplib.POP3_SSL(*pod.port_behind(995), context=authority.client_context())) == MESSAGE
    cluster.volumes.change_secret("pop-tls", certificate(authority, tmp_path))
    deadline = time.monotonic() + 30
    while served_certificate(pod, authority) == before:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def served_certificate(pod: Pod, authority: Authority) -> str:
    client = poplib.POP3_SSL(*pod.port_behind(995), context=authority.client_context(), timeout=30)
    assert isinstance(client.sock, ssl.SSLSocket)
    der = client.sock.getpeercert(binary_form=True)
    assert der is not None
    client.quit()
    return hashlib.sha256(der).hexdigest()


@pytest.mark.usefixtures("alice")
def test_sigterm_ends_every_pod_within_its_grace_period(cluster: Cluster) -> None:
    # A client that stays as long as it may: the drain is used to its end.
    client = log_in(poplib.POP3(*cluster.of("pop3-service")[0].port_behind(110), timeout=30))
    # Redis last, as the others have something to tell it.
    ended = {pod.name: (pod.stop(), pod.grace_seconds) for pod in reversed(cluster.pods)}
    client.close()
    assert {name: code for name, ((code, _), _) in ended.items()} == dict.fromkeys(ended, 0)
    assert all(took < grace for (_, took), grace in ended.values()), ended
    drained = ended[cluster.of("pop3-service")[0].name]
    assert drained[0][1] >= DRAIN_SECONDS
