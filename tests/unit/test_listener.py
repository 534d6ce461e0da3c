"""Listening sockets on real loopback addresses, and what is said when there is none to be had."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

import line_server.listener
from line_server.listener import ListenError, _explain, display, listen, plain_host


@contextmanager
def taken_port(host: str = "127.0.0.1", family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    """Give a port on which another program listens."""
    with socket.socket(family) as other:
        other.bind((host, 0))
        other.listen()
        yield other.getsockname()[1]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")


def test_port_0_picks_a_free_port_that_can_be_connected_to() -> None:
    [bound] = listen("127.0.0.1", 0, "PEEP_PORT")
    with closing(bound):
        bound.listen()
        with socket.create_connection(bound.getsockname(), timeout=20) as client:
            assert client.getpeername() == bound.getsockname()
        assert bound.getblocking() is False


def test_a_taken_port_is_told_with_its_address_its_variable_and_how_to_see_who_has_it() -> None:
    with taken_port() as port, pytest.raises(ListenError) as caught:
        listen("127.0.0.1", port, "PEEP_POP3_PORT")
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port} (PEEP_POP3_PORT): the port is taken; "
        f"choose another, or see who has it: ss -ltnp 'sport = :{port}'"
    )


def test_a_port_can_be_had_again_as_soon_as_its_listener_is_closed() -> None:
    with taken_port() as port:
        pass
    [bound] = listen("127.0.0.1", port, "PEEP_PORT")
    bound.close()


def test_a_privileged_port_is_told_with_what_to_do() -> None:
    text = _explain(PermissionError(errno.EACCES, "Permission denied"), "127.0.0.1", 110, "PEEP_POP3_PORT")
    assert text == (
        "cannot listen on 127.0.0.1:110 (PEEP_POP3_PORT): ports below 1024 need a privilege "
        "that this process lacks; choose a higher one"
    )


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(
        ListenError, match=r"192\.0\.2\.1:0 \(PEEP_PORT\): this machine does not have that address"
    ):
        listen("192.0.2.1", 0, "PEEP_PORT")


def test_an_unknown_host_is_told_with_the_variable() -> None:
    with pytest.raises(ListenError, match="PEEP_PORT: no address is known for the host 'no host'"):
        listen("no host", 0, "PEEP_PORT")


@needs_ipv6
def test_a_socket_on_all_ipv6_addresses_takes_ipv4_clients_too() -> None:
    [bound] = listen("::", 0, "PEEP_PORT")
    with closing(bound):
        bound.listen()
        port = bound.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port), timeout=20) as client:
                bound.settimeout(20)
                accepted, address = bound.accept()
                accepted.close()
                assert plain_host(address[0]) == host
                assert client.getpeername()[1] == port


@needs_ipv6
def test_a_socket_on_one_ipv6_address_leaves_ipv4_to_others() -> None:
    with taken_port() as port:
        [bound] = listen("::1", port, "PEEP_PORT")
        with closing(bound):
            assert bound.getsockname()[:2] == ("::1", port)


def test_a_failure_on_a_later_address_closes_the_sockets_of_the_earlier_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    # A socket left open would end the test with a ResourceWarning, which is an error here.
    with pytest.raises(ListenError, match="does not have that address"):
        listen("both", 0, "PEEP_PORT")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("127.0.0.1", 1110), "127.0.0.1:1110"),
        (("::1", 1110, 0, 0), "[::1]:1110"),
        (("::", 1110, 0, 0), "[::]:1110"),
        (("::ffff:10.0.0.7", 1110, 0, 0), "10.0.0.7:1110"),
        (("::ffff:a00:7", 1110, 0, 0), "[::ffff:a00:7]:1110"),
    ],
)
def test_an_address_is_shown_as_people_write_it(
    address: tuple[str, int] | tuple[str, int, int, int], shown: str
) -> None:
    assert display(address) == shown


def test_any_other_failure_is_told_in_the_systems_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_arguments: object, **_options: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(line_server.listener, "_bind", exhausted)
    with pytest.raises(ListenError, match=r"127\.0\.0\.1:0 \(PEEP_PORT\): Too many open files"):
        listen("127.0.0.1", 0, "PEEP_PORT")
