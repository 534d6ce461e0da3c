"""The gateway as a process: start, readiness, health, one clear line when it cannot start, and the end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.certificates import Authority
from support.forked_program import ForkedProgram
from support.redis_server import RedisServer
from support.service_process import kill

COMMAND = [sys.executable, "-m", "peep_gateway"]
SECONDS = 30


def environment(**settings: str) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}
    return {**given, "PEEP_PORT": "0", "PEEP_LOG_FORMAT": "json", **settings}


@contextmanager
def started(log: Path, **settings: str) -> Iterator[ForkedProgram]:
    """Run the gateway with its output and its log in one file; end it at the end."""
    with log.open("wb") as file:
        process = ForkedProgram("peep_gateway", environment(**settings), file.fileno(), file.fileno(), {})
    try:
        yield process
    finally:
        kill(process)


def logged(log: Path, pattern: str) -> re.Match[str]:
    """Return the first match in the log as soon as it is there."""
    deadline = time.monotonic() + SECONDS
    while (match := re.search(pattern, log.read_text())) is None:
        assert time.monotonic() < deadline, f"{pattern} is not in the log:\n{log.read_text()}"
        time.sleep(0.01)
    return match


def port_of(log: Path) -> int:
    return int(logged(log, r'"peep": "127\.0\.0\.1:(\d+)".*"event": "ready"')[1])


def ask(port: int, *lines: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.sendall("".join(f"{line}\r\n" for line in lines).encode())
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def health(port: int) -> "subprocess.CompletedProcess[str]":
    settings = environment(PEEP_PORT=str(port), PEEP_REDIS_URL="redis://localhost")
    return subprocess.run(
        [*COMMAND, "health"], env=settings, capture_output=True, text=True, check=False, timeout=SECONDS
    )


def test_given_administrators_are_served_and_told_apart_from_strangers(
    redis_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    settings = {"PEEP_ADMINS": "bob:sesame,eve:apple,kim:apple pie", "PEEP_MAIL_DIR": "/srv/mail"}
    with started(log, PEEP_REDIS_URL=redis_url, **settings):
        port = port_of(log)
        assert ask(port, "a bob sesame", "m?") == b"+\r\n+/srv/mail\r\n"
        assert ask(port, "a eve apple", "u?") == b"+\r\n+0\r\n"
        assert ask(port, "a bob apple", "u?") == b"-2\r\n-0\r\n"
        assert ask(port, "a kim apple pie") == b"-2\r\n"
        logged(log, r'"administrator": "kim", .*"event": "administrator.s password has a space')
    assert "sesame" not in log.read_text()
    assert "apple" not in log.read_text()


def test_administrators_are_read_anew_on_sighup_and_only_sign_ins_of_removed_ones_end(
    redis_url: str, tmp_path: Path
) -> None:
    log, file = tmp_path / "log", tmp_path / "admins"
    file.write_text("bob:sesame\n")
    copied = {"CREDENTIALS_DIRECTORY": str(tmp_path)}  # as by LoadCredential=
    with started(log, PEEP_REDIS_URL=redis_url, PEEP_ADMINS_FILE=str(file), **copied) as process:
        port = port_of(log)
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
            client.sendall(b"a bob sesame\r\n")
            assert client.recv(64) == b"+\r\n"
            file.write_text("bob\n")
            process.send_signal(signal.SIGHUP)
            logged(log, r'"reason": "PEEP_ADMINS: .*"event": "administrators not read anew"')
            assert ask(port, "a bob sesame") == b"+\r\n"
            file.write_text("bob:sesame\neve:apple\n")
            process.send_signal(signal.SIGHUP)
            logged(log, r'"administrators": \["bob", "eve"\], .*"event": "administrators read anew"')
            assert ask(port, "a eve apple") == b"+\r\n"
            client.sendall(b"u?\r\n")
            assert client.recv(64) == b"+0\r\n"
            file.write_text("eve:apple\n")
            process.send_signal(signal.SIGHUP)
            logged(log, r'"administrators": \["eve"\], .*"event": "administrators read anew"')
            assert ask(port, "a bob sesame") == b"-2\r\n"
            client.sendall(b"t= 5\r\n")
            assert client.recv(64) == b"-2\r\n"
            process.send_signal(signal.SIGHUP)
            logged(log, r'"hint": "LoadCredential= .* restart .*"event": "administrators are as before"')
    assert "sesame" not in log.read_text()
    assert "apple" not in log.read_text()


def test_first_administrators_password_is_printed_once(redis_url: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with started(first, PEEP_REDIS_URL=redis_url):
        port = port_of(first)
        password = logged(first, r"'admin' with the password (\S+) \(shown only now")[1]
        assert ask(port, f"a admin {password}") == b"+\r\n"
    with started(second, PEEP_REDIS_URL=redis_url):
        assert ask(port_of(second), f"a admin {password}") == b"+\r\n"
    assert first.read_text().count(password) == 1
    assert password not in second.read_text()


def test_health_tells_whether_the_gateway_answers(redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(log, PEEP_REDIS_URL=redis_url, PEEP_ADMINS="bob:sesame"):
        port = port_of(log)
        answer = health(port)
        assert (answer.returncode, answer.stdout) == (
            0,
            f"peep-gateway: PEEP is served on 127.0.0.1:{port}\n",
        )
    answer = health(port)
    assert answer.returncode == 1
    assert answer.stdout.startswith(f"peep-gateway: no answer from 127.0.0.1:{port}: ")


def test_peep_is_served_inside_tls_where_there_is_a_certificate(redis_url: str, tmp_path: Path) -> None:
    log, authority = tmp_path / "log", Authority()
    certificate, key = authority.issue(tmp_path)
    settings = {"PEEP_TLS_CERT_FILE": str(certificate), "PEEP_TLS_KEY_FILE": str(key), "PEEP_TLS_PORT": "0"}
    with started(log, PEEP_REDIS_URL=redis_url, PEEP_ADMINS="bob:sesame", **settings):
        port = int(logged(log, r'"peeps": "127\.0\.0\.1:(\d+)".*"event": "ready"')[1])
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
            authority.client_context().wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(b"a bob sesame\r\nc?\r\nq\r\n")
            assert b"".join(iter(lambda: client.recv(65536), b"")) == b"+\r\n+1000\r\n+\r\n"
        assert ask(port_of(log), "a bob sesame") == b"+\r\n"  # the plain port stays
        # Who speaks in the clear to it gets nothing but TLS's own alert.
        assert not ask(port, "a bob sesame").startswith(b"+")


def test_damaged_certificate_is_told_in_one_line(tmp_path: Path) -> None:
    log, certificate = tmp_path / "log", tmp_path / "certificate.pem"
    certificate.write_text("no certificate")
    settings = {"PEEP_TLS_CERT_FILE": str(certificate), "PEEP_TLS_PORT": "0"}
    with started(log, PEEP_REDIS_URL="redis://localhost", **settings) as process:
        assert process.wait(SECONDS) == 1
    (line,) = log.read_text().splitlines()
    assert line.startswith(f"peep-gateway: PEEP_TLS_CERT_FILE: {certificate} is not a PEM file")


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = {"PEEP_PORT": "2110", "PEEP_TLS_PORT": "2110", "PEEP_TLS_CERT_FILE": "any"}
    with started(log, PEEP_REDIS_URL="redis://localhost", **settings) as process:
        assert process.wait(SECONDS) == 2
    (line,) = log.read_text().splitlines()
    assert line.startswith("peep-gateway: PEEP_TLS_PORT: must be another port than PEEP_PORT")


def test_sigterm_ends_it_quickly_with_a_session_open(redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = {"PEEP_ADMINS": "bob:sesame", "PEEP_DRAIN_SECONDS": str(10 * SECONDS)}
    with started(log, PEEP_REDIS_URL=redis_url, **settings) as process:
        with socket.create_connection(("127.0.0.1", port_of(log)), timeout=SECONDS) as client:
            client.sendall(b"nope\r\n")
            assert client.recv(100) == b"-0\r\n"
            process.send_signal(signal.SIGTERM)
            assert client.recv(100) == b""
        assert process.wait(SECONDS) == 0
    logged(log, '"event": "stopped"')


def test_gateway_waits_for_redis_and_says_so_once(redis_server: RedisServer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    redis_server.kill()
    with started(log, PEEP_REDIS_URL=redis_server.url, PEEP_ADMINS="bob:sesame"):
        logged(log, "waiting for redis")
        redis_server.start()
        assert ask(port_of(log), "a bob sesame") == b"+\r\n"
    assert log.read_text().count("waiting for redis") == 1


def test_gateway_can_be_stopped_while_it_waits_for_redis(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(log, PEEP_REDIS_URL=f"unix://{tmp_path}/nobody") as process:
        logged(log, "waiting for redis")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def test_help_names_the_variables() -> None:
    answer = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert answer.stdout.startswith("usage: python -m peep_gateway ")
    assert "health" in answer.stdout
    assert "PEEP_PORT: " in answer.stdout
    assert "PEEP_REDIS_URL: " in answer.stdout
