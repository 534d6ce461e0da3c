"""POP3 behind a proxy: whose connection it is, and what becomes of one that does not say so."""

import base64
import contextlib
import errno
import signal
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from line_server.proxy_header import SIGNATURE
from state_store.records import Counters
from support.certificates import Authority
from support.pop3_process import PASSWORD, SECONDS, Pop3Client, Pop3Process, Start, wait_until
from support.redis_server import RedisServer

SHORT = b"Subject: short\n\nHello\n"
LONGER_THAN_A_TEST = "300"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
UNKNOWN = b"PROXY UNKNOWN\r\n"


def v1(address: str) -> bytes:
    family, other = ("TCP6", "2001:db8::1") if ":" in address else ("TCP4", "192.0.2.1")
    return f"PROXY {family} {address} {other} 40000 110\r\n".encode()


def v2(address: str) -> bytes:
    packed = ip_address(address).packed
    block = packed + bytes(len(packed)) + struct.pack("!HH", 40000, 110)
    kind = 0x21 if ":" in address else 0x11
    return SIGNATURE + struct.pack("!BBH", 0x21, kind, len(block)) + block


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def trusting(authority: Authority) -> ssl.SSLContext:
    return authority.client_context()


def proxied(authority: Authority, folder: Path) -> dict[str, Any]:
    certificate, key = authority.issue(folder)
    return {
        "PEEP_PROXY_PROTOCOL": "1",
        "PEEP_PROXY_TRUSTED": "127.0.0.1,127.0.0.16/28",
        "PEEP_TLS_CERT_FILE": str(certificate),
        "PEEP_TLS_KEY_FILE": str(key),
    }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Pop3Process]:
    folder = tmp_path_factory.mktemp("pop3")
    with (
        RedisServer() as redis_server,
        Pop3Process(redis_server.url, folder, **proxied(authority, folder)) as process,
    ):
        yield process


@pytest.fixture
def start(redis_url: str, tmp_path: Path, authority: Authority) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(
            Pop3Process(redis_url, tmp_path, **proxied(authority, tmp_path), **settings)
        )


def logged_address(service: Pop3Process, client: Pop3Client) -> str:
    """Return the address in the log's entry for the end of a client's session."""
    session_id = client.greeting.split()[-1].decode()

    def found() -> list[str]:
        entries = service.logged("session ended")
        return [entry["address"] for entry in entries if entry["session"] == session_id]

    wait_until(lambda: bool(found()), f"the end of session {session_id} is logged")
    return found()[0]


def shown_addresses(service: Pop3Process) -> list[str]:
    """Return the addresses of all open sessions, as operators see them."""

    async def ask() -> list[str]:
        return [session.address for session in await service.repository.sessions()]

    return service._runner.run(ask())


def is_quiet(service: Pop3Process) -> bool:
    """Return whether all sessions so far are over, and counted."""
    return shown_addresses(service) == [] and service.counters().current_connections == 0


def refusal_after(service: Pop3Process, before: int) -> dict[str, Any]:
    wait_until(lambda: len(service.logged("connection refused")) > before, "the refusal is logged")
    return service.logged("connection refused")[before]


def is_refused(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == errno.ECONNREFUSED


def everything(connected: socket.socket) -> bytes:
    """Return what comes up to the server's close, be it a reset."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connected.recv(4096):
            received += chunk
    return received


# Whose connection it is


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (v1("198.51.100.7"), "198.51.100.7"),
        (v1("2001:db8::7"), "2001:db8::7"),
        (v2("198.51.100.7"), "198.51.100.7"),
        (v2("2001:db8::7"), "2001:db8::7"),
        (v2("::ffff:198.51.100.7"), "198.51.100.7"),
        (UNKNOWN, "127.0.0.1"),
    ],
    ids=["v1-ipv4", "v1-ipv6", "v2-ipv4", "v2-ipv6", "v2-mapped", "v1-unknown"],
)
def test_address_in_the_header_is_the_sessions_everywhere(
    service: Pop3Process, header: bytes, address: str
) -> None:
    username = service.add_user(SHORT)
    wait_until(lambda: shown_addresses(service) == [], "the sessions before are over")
    with Pop3Client(service.address, header=header) as client:
        client.log_in(username)
        wait_until(lambda: shown_addresses(service) == [address], f"the session of {address} is shown")
        assert client.quit().startswith(b"+OK")
    assert logged_address(service, client) == address


@pytest.mark.parametrize("make_header", [v1, v2])
def test_header_and_first_commands_may_share_a_segment(
    service: Pop3Process, make_header: Callable[[str], bytes]
) -> None:
    with Pop3Client(service.address, header=make_header("198.51.100.8") + b"NOOP\r\nQUIT\r\n") as client:
        assert client.rest() == b"-ERR not before login\r\n+OK Peep signing off\r\n"
    assert logged_address(service, client) == "198.51.100.8"


@pytest.mark.parametrize("make_header", [v1, v2])
def test_header_may_come_octet_by_octet(service: Pop3Process, make_header: Callable[[str], bytes]) -> None:
    with socket.create_connection(service.address, timeout=SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in make_header("198.51.100.9") + b"QUIT\r\n":
            client.sendall(bytes([octet]))
        assert everything(client).endswith(b"+OK Peep signing off\r\n")


@pytest.mark.parametrize("make_header", [v1, v2])
def test_header_comes_before_tls(
    service: Pop3Process, trusting: ssl.SSLContext, make_header: Callable[[str], bytes]
) -> None:
    username = service.add_user(SHORT)
    header = make_header("2001:db8::9")
    with Pop3Client(service.tls_address, header=header, tls=trusting) as client:
        client.log_in(username)
        assert client.quit().startswith(b"+OK")
    assert logged_address(service, client) == "2001:db8::9"
    with Pop3Client(service.address, header=header) as client:
        client.start_tls(trusting).log_in(username)
        assert client.quit().startswith(b"+OK")


def test_second_header_is_no_header_but_a_bad_command(service: Pop3Process) -> None:
    with Pop3Client(service.address, header=v1("198.51.100.7") + v1("203.0.113.1")) as client:
        assert client.line() == b"-ERR unknown command\r\n"
        assert client.quit().startswith(b"+OK")
    assert logged_address(service, client) == "198.51.100.7"


def test_wrong_passwords_are_reckoned_by_the_clients_address_not_the_proxys(service: Pop3Process) -> None:
    username = service.add_user(SHORT)
    with Pop3Client(service.address, header=v1("198.51.100.20")) as guesser:
        for _ in range(3):
            assert guesser.ask(f"USER {username}").startswith(b"+OK")
            assert guesser.ask("PASS wrong").startswith(b"-ERR [AUTH]")
        assert guesser.ask(f"USER {username}").startswith(b"+OK")
        guesser.send(b"PASS wrong\r\nNOOP\r\n")  # this one waits, and its address with it
        with Pop3Client(service.address, header=v1("198.51.100.21")) as neighbour:
            assert neighbour.ask(f"USER {username}").startswith(b"+OK")
            assert neighbour.ask(f"PASS {PASSWORD}").startswith(b"+OK")


def test_refused_client_of_a_full_server_is_logged_with_its_own_address(
    start: Start,
) -> None:
    service = start()
    service.set_max_connections(1)
    with Pop3Client(service.address, header=v1("198.51.100.7")):
        wait_until(lambda: service.counters().current_connections == 1, "the first one is in")
        with Pop3Client(service.address, header=v1("198.51.100.8")) as refused:
            assert refused.greeting == b"-ERR [SYS/TEMP] too many connections (limit 1)\r\n"
    assert refusal_after(service, 0)["address"] == "198.51.100.8"


# Connections that the proxy opens for itself


@pytest.mark.parametrize("uses_tls_port", [False, True])
def test_proxys_own_check_is_answered_and_leaves_no_trace(
    service: Pop3Process, trusting: ssl.SSLContext, uses_tls_port: bool
) -> None:
    wait_until(lambda: is_quiet(service), "the sessions before are over")
    counted, logged_before = service.counters(), service.log.read_text()
    address, tls = (service.tls_address, trusting) if uses_tls_port else (service.address, None)
    with Pop3Client(address, header=LOCAL, tls=tls) as check:
        assert check.greeting.startswith(b"+OK")
        assert b"UIDL\r\n" in check.ask_lines("CAPA")
        assert shown_addresses(service) == []
        assert check.quit().startswith(b"+OK")
    assert service.counters() == counted
    assert service.log.read_text() == logged_before


@pytest.mark.parametrize("way", ["USER", "AUTH", "STLS", "TLS"])
def test_proxys_own_connection_that_logs_in_is_a_session_like_any_other(
    start: Start, trusting: ssl.SSLContext, way: str
) -> None:
    service = start()
    username = service.add_user(SHORT)
    address, tls = (service.tls_address, trusting) if way == "TLS" else (service.address, None)
    with Pop3Client(address, header=LOCAL, source="127.0.0.17", tls=tls) as check:
        assert check.ask("NOOP") == b"-ERR not before login\r\n"
        if way == "STLS":
            check.start_tls(trusting)
        assert check.ask_lines("CAPA")
        assert service.counters() == Counters()
        uncounted = check.octets_read
        if way == "AUTH":
            response = base64.b64encode(f"\0{username}\0{PASSWORD}".encode()).decode()
            assert check.ask(f"auth PLAIN {response}") == b"+OK 1 message (25 octets)\r\n"
        else:
            check.log_in(username)
        wait_until(lambda: shown_addresses(service) == ["127.0.0.17"], "the session is shown")
        counters = service.counters()
        assert (counters.current_connections, counters.logged_in_users) == (1, 1)
        assert b"".join(check.ask_lines("RETR 1")) == SHORT.replace(b"\n", b"\r\n")
        assert check.ask("DELE 1").startswith(b"+OK")
        assert check.quit() == b"+OK Peep signing off\r\n"
    service.expect_counters(
        Counters(
            retrieved_bytes=check.octets_read - uncounted,
            retrieved_emails=1,
            removed_emails=1,
            historical_connections=1,
            historical_logins=1,
        )
    )
    assert logged_address(service, check) == "127.0.0.17"
    assert service.files(username) == []


def test_proxys_own_connection_is_under_the_limit_once_it_begins_to_log_in(
    start: Start,
) -> None:
    service = start(PEEP_MAX_CONNECTIONS_PER_ADDRESS="1")
    username = service.add_user()
    with (
        Pop3Client(service.address, header=LOCAL) as first,
        Pop3Client(service.address, header=LOCAL) as second,
        Pop3Client(service.address, header=LOCAL) as third,
    ):
        first.log_in(username)
        second.send(f"USER {username}\r\nPASS {PASSWORD}\r\n".encode())
        assert second.rest() == b"-ERR [SYS/TEMP] too many connections from your address (limit 1)\r\n"
        assert refusal_after(service, 0)["address"] == "127.0.0.1"
        assert first.quit().startswith(b"+OK")
        wait_until(lambda: service.counters().current_connections == 0, "the first one is out")
        third.log_in(username)
        assert third.quit().startswith(b"+OK")
    wait_until(lambda: service.counters().historical_connections == 2, "two are counted")


def test_proxys_own_connection_that_logs_in_is_told_when_the_server_stops(
    start: Start,
) -> None:
    service = start()
    username = service.add_user()
    with (
        Pop3Client(service.address, header=LOCAL) as session,
        Pop3Client(service.address, header=LOCAL) as check,
    ):
        session.log_in(username)
        assert service.terminate() == 0
        assert session.rest() == b"-ERR [SYS/TEMP] the server is going down, try again later\r\n"
        assert everything(check.socket) == b""


@pytest.mark.parametrize("header", [UNKNOWN, SIGNATURE + b"\x21\x00\x00\x00"], ids=["v1", "v2"])
def test_client_of_unknown_address_is_a_session_with_the_proxys_address(
    service: Pop3Process, header: bytes
) -> None:
    # As if there were no header, says the protocol: the proxy relays it, and cannot say for whom.
    username = service.add_user(SHORT)
    before = service.counters().historical_logins
    with Pop3Client(service.address, header=header, source="127.0.0.18") as client:
        client.log_in(username)
        assert client.quit().startswith(b"+OK")
    assert logged_address(service, client) == "127.0.0.18"
    wait_until(lambda: service.counters().historical_logins == before + 1, "the login is counted")


def test_proxys_own_check_finds_a_full_server_well(start: Start) -> None:
    service = start()
    service.set_max_connections(1)
    with Pop3Client(service.address, header=v1("198.51.100.7")):
        wait_until(lambda: service.counters().current_connections == 1, "the first one is in")
        with Pop3Client(service.address, header=LOCAL) as check:
            assert check.quit().startswith(b"+OK")


@pytest.mark.parametrize("workers", [1, 2])
def test_service_that_is_to_stop_fails_checks_first_and_serves_new_clients_meanwhile(
    redis_url: str, tmp_path: Path, authority: Authority, workers: int
) -> None:
    settings = proxied(authority, tmp_path) | {"PEEP_DRAIN_NOTICE_SECONDS": LONGER_THAN_A_TEST}
    with Pop3Process(redis_url, tmp_path, workers=workers, **settings) as service:
        username = service.add_user(SHORT)
        service.process.send_signal(signal.SIGTERM)

        def check_fails() -> bool:
            with Pop3Client(service.address, header=LOCAL) as check:
                return check.greeting.startswith(b"-ERR [SYS/TEMP]") and check.rest() == b""

        wait_until(check_fails, "checks fail")
        with Pop3Client(service.address, header=v2("198.51.100.7")) as client:
            client.log_in(username)
            assert b"".join(client.ask_lines("RETR 1")) == SHORT.replace(b"\n", b"\r\n")
            assert client.quit().startswith(b"+OK")


@pytest.mark.parametrize("workers", [1, 2])
def test_service_that_is_to_stop_closes_its_port_after_the_notice_and_lets_sessions_end(
    redis_url: str, tmp_path: Path, authority: Authority, workers: int
) -> None:
    notice = 1.0
    settings = proxied(authority, tmp_path)
    settings |= {"PEEP_DRAIN_NOTICE_SECONDS": str(notice), "PEEP_DRAIN_SECONDS": LONGER_THAN_A_TEST}
    with Pop3Process(redis_url, tmp_path, workers=workers, **settings) as service:
        username = service.add_user(SHORT)
        with Pop3Client(service.address, header=v2("198.51.100.7")) as client:
            client.log_in(username)
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(service.address), "the port is closed")
            assert time.monotonic() - began > notice
            assert b"".join(client.ask_lines("RETR 1")) == SHORT.replace(b"\n", b"\r\n")
            assert client.quit().startswith(b"+OK")
        assert service.process.wait(SECONDS) == 0


# Connections that do not say whose they are


@pytest.mark.parametrize("uses_tls_port", [False, True])
def test_peer_that_is_no_trusted_proxy_is_closed_at_once(service: Pop3Process, uses_tls_port: bool) -> None:
    before = len(service.logged("connection refused"))
    address = service.tls_address if uses_tls_port else service.address
    with socket.create_connection(address, timeout=SECONDS, source_address=("127.0.0.2", 0)) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(v1("198.51.100.7"))
        assert everything(client) == b""
    refusal = refusal_after(service, before)
    assert (refusal["address"], refusal["reason"]) == ("127.0.0.2", "not a trusted proxy")


def test_network_of_trusted_proxies_is_trusted_as_a_whole(service: Pop3Process) -> None:
    with Pop3Client(service.address, source="127.0.0.31", header=v1("198.51.100.7")) as client:
        assert client.quit().startswith(b"+OK")


@pytest.mark.parametrize(
    "octets",
    [b"CAPA\r\n", b"PROXY TCP4 198.51.100.7\r\n", b"PROXY TCP4 secret\r\n", SIGNATURE + b"\x31\x11\x00\x0c"],
)
def test_what_is_no_header_is_closed_at_once_and_not_quoted(service: Pop3Process, octets: bytes) -> None:
    before = len(service.logged("connection refused"))
    with socket.create_connection(service.address, timeout=SECONDS) as client:
        client.sendall(octets)
        assert everything(client) == b""
    assert refusal_after(service, before)["address"] == "127.0.0.1"
    assert "secret" not in service.log.read_text()


def test_client_that_waits_for_the_greeting_is_closed_after_five_seconds(
    start: Start,
) -> None:
    # Slow: this is the one test of the wait's real length.
    service = start()
    with (
        socket.create_connection(service.address, timeout=SECONDS) as plain,
        socket.create_connection(service.tls_address, timeout=SECONDS) as tls,
    ):
        assert everything(plain) == everything(tls) == b""
    wait_until(lambda: len(service.logged("connection refused")) == 2, "both are logged")
    assert {entry["reason"] for entry in service.logged("connection refused")} == {
        "no proxy header within 5 s"
    }
    assert service.counters().historical_connections == 0


def test_connection_without_a_header_is_told_nothing_when_the_server_stops(
    start: Start,
) -> None:
    service = start()
    with (
        socket.create_connection(service.address, timeout=SECONDS) as plain,
        socket.create_connection(service.tls_address, timeout=SECONDS) as tls,
        Pop3Client(service.address, header=UNKNOWN) as told,
    ):
        assert service.terminate() == 0
        assert everything(plain) == everything(tls) == b""
        assert told.rest().startswith(b"-ERR [SYS/TEMP]")
