"""Sockets that systemd passes on, as sd_listen_fds(3) says, taken by whom they are meant for."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from line_server import activation
from line_server.activation import Endpoint, close_all, open_sockets, passed_sockets
from line_server.listener import ListenError, listen
from pop3_service.ports import Ports
from service_runtime.errors import StartError
from service_runtime.lifecycle import Lifecycle
from service_runtime.settings import Pop3Settings

POP3 = Endpoint("pop3", "127.0.0.1", 0, "PEEP_POP3_PORT")
POP3S = Endpoint("pop3s", "127.0.0.1", 0, "PEEP_POP3S_PORT")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def listening(stack: ExitStack) -> socket.socket:
    (bound,) = listen("127.0.0.1", 0, "a port")
    stack.enter_context(bound).listen()
    return bound


def pass_on(monkeypatch: pytest.MonkeyPatch, *passed: socket.socket, names: str = "") -> dict[str, str]:
    """Give copies of these sockets successive numbers, and return the variables that say so.

    Whoever takes them owns them then.
    """
    number = max(int(name) for name in os.listdir("/dev/fd")) + 10
    monkeypatch.setattr(activation, "FIRST_DESCRIPTOR", number)
    for descriptor, one in enumerate(passed, number):
        os.dup2(one.fileno(), descriptor)
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(passed)), "LISTEN_FDNAMES": names, "A": "B"}


def test_passed_sockets_are_taken_by_name_and_only_once(
    monkeypatch: pytest.MonkeyPatch, listening: socket.socket
) -> None:
    environment = pass_on(monkeypatch, listening, listening, listening, names="pop3:pop3s:pop3")
    passed = passed_sockets(environment)
    assert {name: len(sockets) for name, sockets in passed.items()} == {"pop3": 2, "pop3s": 1}
    assert environment == {"A": "B"}
    assert passed_sockets(environment) == {}
    for bound in (*passed["pop3"], *passed["pop3s"]):
        assert bound.getsockname() == listening.getsockname()
        assert (bound.getblocking(), bound.get_inheritable()) == (False, False)
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    close_all(passed.values())


def test_sockets_that_were_passed_to_another_process_are_not_taken(
    monkeypatch: pytest.MonkeyPatch, listening: socket.socket
) -> None:
    environment = pass_on(monkeypatch, listening) | {"LISTEN_PID": str(os.getppid())}
    assert passed_sockets(environment) == {}
    assert environment == {"A": "B"}
    os.close(activation.FIRST_DESCRIPTOR)


@pytest.mark.parametrize("kind", ["not listening", "Unix", "no socket"])
def test_what_no_client_can_connect_to_is_refused(
    monkeypatch: pytest.MonkeyPatch, stack: ExitStack, kind: str
) -> None:
    if kind == "no socket":
        environment = pass_on(monkeypatch, stack.enter_context(socket.socket()), names="pop3")
        with open(os.devnull) as file:
            os.dup2(file.fileno(), activation.FIRST_DESCRIPTOR)
    else:
        family = socket.AF_UNIX if kind == "Unix" else socket.AF_INET
        environment = pass_on(monkeypatch, stack.enter_context(socket.socket(family)), names="pop3")
    with pytest.raises(ListenError, match=r"\('pop3'\), which was passed on, is no listening TCP socket"):
        passed_sockets(environment)
    if kind == "no socket":
        os.close(activation.FIRST_DESCRIPTOR)


def test_passed_sockets_take_the_place_of_all_addresses(listening: socket.socket) -> None:
    assert open_sockets([POP3, POP3S], {"pop3s": [listening]}) == [[], [listening]]


@pytest.mark.parametrize("name", ["pop3s", "peep-pop3.socket", ""])
def test_a_passed_socket_that_nobody_would_serve_is_refused_by_name(
    listening: socket.socket, name: str
) -> None:
    with pytest.raises(ListenError, match=f"FileDescriptorName={name} was passed on, .* is pop3: "):
        open_sockets([POP3], {"pop3": [listening], name: [listening]})


def test_without_any_each_endpoint_is_bound(stack: ExitStack) -> None:
    opened = open_sockets([POP3, POP3S], {})
    stack.callback(close_all, opened)
    assert [len(sockets) for sockets in opened] == [1, 1]
    taken = opened[1][0].getsockname()[1]
    opened[1][0].listen()
    # A socket left open would end the test with a ResourceWarning, which is an error here.
    with pytest.raises(ListenError, match=r"\(PEEP_POP3S_PORT\): the port is taken"):
        open_sockets([POP3, Endpoint("pop3s", "127.0.0.1", taken, "PEEP_POP3S_PORT")], {})


# POP3's two ports


@pytest.fixture
def settings() -> Pop3Settings:
    return Pop3Settings(
        redis_url="redis://127.0.0.1", pop3_port=0, pop3s_port=0, tls_cert_file="/etc/peep/certificate.pem"
    )


def test_pop3s_is_served_only_with_a_certificate(settings: Pop3Settings) -> None:
    without = settings.model_copy(update={"tls_cert_file": None})
    for given, labels in ((settings, ["POP3", "POP3S"]), (without, ["POP3"])):
        with closing(Ports.open(given, {})) as ports:
            addresses = dict(ports.addresses())
            assert list(addresses) == labels
            assert len(set(addresses.values())) == len(labels)
            assert addresses["POP3"] == f"127.0.0.1:{ports.port}"


def test_pop3_inside_tls_may_be_the_only_one(settings: Pop3Settings, listening: socket.socket) -> None:
    ports = Ports.open(settings, {"pop3s": [listening]})
    assert dict(ports.addresses()) == {"POP3S": f"127.0.0.1:{ports.port}"}
    assert ports.port == listening.getsockname()[1]


def test_workers_inherit_the_sockets_that_were_opened(settings: Pop3Settings) -> None:
    with closing(Ports.open(settings, {})) as opened:
        copies = {number: os.dup(number) for number in opened.descriptors()}
        plain, tls = (str(copies[number]) for number in opened.descriptors())
        assert opened.description() == "+".join(str(number) for number in copies)
        with closing(Ports.inherited(f"{plain}+{tls}")) as inherited:
            assert dict(inherited.addresses()) == dict(opened.addresses())
            for one in inherited.plain + inherited.tls:
                assert (one.getblocking(), one.get_inheritable()) == (False, False)
                assert one.family == socket.AF_INET


async def test_a_service_that_gets_a_wrong_socket_does_not_start(
    monkeypatch: pytest.MonkeyPatch, stack: ExitStack
) -> None:
    environment = pass_on(monkeypatch, stack.enter_context(socket.socket()))
    for name in environment:
        monkeypatch.setenv(name, environment[name])
    with pytest.raises(StartError, match="is no listening TCP socket"):
        Lifecycle()
