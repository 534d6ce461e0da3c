"""Who connects, says nothing and is gone at once only looks whether the port is open: it leaves no trace."""

import socket
from pathlib import Path

from state_store.records import Counters
from support.certificates import Authority
from support.pop3_process import Pop3Process, Start, wait_until


def probe(address: tuple[str, int], says: bytes = b"") -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(says)


def ends(service: Pop3Process) -> list[str]:
    """Return at which levels the ends of sessions were logged."""
    return [entry["level"] for entry in service.logged("session ended")]


def test_bare_probe_is_counted_nowhere_and_logged_at_debug_only(start: Start) -> None:
    service = start(PEEP_LOG_LEVEL="debug")
    for _ in range(3):
        probe(service.address)
    wait_until(lambda: ends(service) == ["debug"] * 3, "their ends are logged")
    service.add_user(name="ann")
    with service.log_in("ann") as client:
        client.quit()
    wait_until(lambda: service.counters().historical_logins == 1, "the login is counted")
    wait_until(lambda: len(ends(service)) == 4, "the end of the session is logged")
    assert service.counters().historical_connections == 1
    assert ends(service) == ["debug"] * 3 + ["info"]


def test_bare_probe_leaves_nothing_in_the_log_of_the_usual_level(start: Start, tmp_path: Path) -> None:
    certificate, key = Authority().issue(tmp_path)
    service = start(PEEP_TLS_CERT_FILE=str(certificate), PEEP_TLS_KEY_FILE=str(key))
    before = service.log.read_text()
    probe(service.address)
    probe(service.tls_address)
    with service.connect() as client:
        client.quit()
    wait_until(lambda: bool(ends(service)), "the end of the session after them is logged")
    assert service.log.read_text().removeprefix(before).count("\n") == 1


def test_bare_probe_behind_a_proxys_header_leaves_nothing_in_the_log(start: Start) -> None:
    service = start(PEEP_PROXY_PROTOCOL="1", PEEP_PROXY_TRUSTED="127.0.0.1")
    before = service.log.read_text()
    local = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"  # version 2, LOCAL: the proxy's own check
    probe(service.address)
    probe(service.address, local)
    probe(service.address, local + b"NOOP\r\n")
    probe(service.address, b"PROXY TCP4 192.0.2.1 127.0.0.1 40000 1110\r\nNOOP\r\n")
    wait_until(lambda: bool(ends(service)), "the end of the session that said something is logged")
    assert service.log.read_text().removeprefix(before).count("\n") == 1


def test_client_of_one_line_is_counted_however_soon_it_is_gone(start: Start) -> None:
    service = start()
    probe(service.address, b"NOOP\r\n")
    wait_until(lambda: ends(service) == ["info"], "its end is logged")
    wait_until(lambda: service.counters().historical_connections == 1, "it is counted")


def test_client_that_stays_is_counted_though_it_says_nothing(start: Start) -> None:
    service = start()
    with service.connect():
        service.expect_counters(Counters(current_connections=1, historical_connections=1))
    wait_until(lambda: ends(service) == ["info"], "its end is logged")
    service.expect_counters(Counters(historical_connections=1))
