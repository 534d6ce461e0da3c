from __future__ import annotations

import json
import os
import poplib
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import resources
from pathlib import Path

import httpx
import pytest

from peepctl.up.embedded import EmbeddedServer
from support.certificates import Authority
from support.peepctl_program import Peepctl
from support.peepctl_up import PROGRAM, Up
from support.pop3_process import Pop3Client, wait_until

SECONDS = 30.0
"""Far more than an answer or an end takes, even on a busy machine."""

_PROGRAM = """
import runpy
from peepctl.up import kept_parts
kept_parts.FIRST_PAUSE_SECONDS = 0.01
runpy.run_module("peepctl", run_name="__main__", alter_sys=True)
"""
WITH_SHORT_PAUSES = (sys.executable, "-c", _PROGRAM)
"""A peepctl that starts again at once what has ended."""

NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes by /proc")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*program: str, **settings: str) -> Up:
        started.append(Up(tmp_path, settings, program or PROGRAM))
        return started[-1]

    yield start
    for up in started:
        up.clean_up()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Give one that runs as long as the file's tests, which leave it as it was, and then ends cleanly."""
    up = Up(tmp_path_factory.mktemp("up"), {})
    try:
        yield up.ready()
        exit_code, rest = up.stop()
    finally:
        up.clean_up()
    assert exit_code == 0, up.errors.read_text()
    assert rest.splitlines()[-1].startswith("stopped ")


def sample(name: str) -> bytes:
    lines = resources.files("peepctl.up").joinpath("samples", name).read_bytes().split(b"\n")
    return b"\r\n".join(lines)


def process_of(up: Up, words: str) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes()
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if words.encode() in command and int(parent) == up.process.pid:
                return int(entry.name)
    raise AssertionError(f"{words} is not running")


def test_the_command_in_the_ready_line_fetches_the_first_sample(running: Up) -> None:
    match = re.search(r"fetch: (curl \S+)", running.lines["ready"])
    assert match is not None
    fetched = subprocess.check_output((*match[1].split(), "--silent"), timeout=SECONDS)
    assert fetched == sample("1-welcome.eml")
    assert b"\r\n.netrc\r\n" in fetched


def test_the_command_in_the_ready_line_works_with_a_layout_by_domains_too(
    start: Callable[..., Up], tmp_path: Path
) -> None:
    up = start(PEEP_MAILDIR_LAYOUT="{domain}/{local}/Maildir").ready()
    assert "the user demo@example.org, password demo" in up.lines["demo"]
    assert len(list((tmp_path / "data/mail/example.org/demo/Maildir/new").iterdir())) == 3
    match = re.search(r"fetch: (curl \S+)", up.lines["ready"])
    assert match is not None
    fetched = subprocess.check_output((*match[1].split(), "--silent"), timeout=SECONDS)
    assert fetched == sample("1-welcome.eml")


def test_all_samples_are_there_for_the_demo_user(running: Up) -> None:
    client = running.log_in()
    names = ("1-welcome.eml", "2-newsletter.eml", "3-attachment.eml")
    for number, name in enumerate(names, 1):
        assert b"\r\n".join([*client.retr(number)[1], b""]) == sample(name)
    assert client.stat()[0] == len(names)
    client.quit()


def test_the_generated_administrator_can_read_the_counters(running: Up) -> None:
    kept = running.data / "admins"
    name, password = kept.read_text().strip().split(":")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert running.lines["admin"].startswith(f"{name}:{password} ")
    answer = httpx.get(f"{running.lines['http']}/v1/counters", auth=(name, password), timeout=SECONDS)
    assert answer.status_code == 200
    assert answer.json()["removed_emails"] == 0


def test_commands_find_it_by_its_data_directory_on_whatever_ports(running: Up, tmp_path: Path) -> None:
    beside = Peepctl(tmp_path, PEEP_DATA_DIR=str(running.data))
    assert json.loads(beside.output("stats", "--json"))["removed_emails"] == 0
    assert beside.output("audit", "--action", "user.add")


def as_a_careless_parent_leaves_them() -> None:
    """Ignore the signals that end programs, and block all of them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_cleanly_and_soon_whatever_its_parent_did_with_signals(
    tmp_path: Path, number: signal.Signals
) -> None:
    up = Up(
        tmp_path,
        {},
        preexec_fn=as_a_careless_parent_leaves_them,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        up.ready().log_in()
        up.send(number)
        exit_code, rest = up.end()
    finally:
        up.clean_up()
    assert exit_code == 0, up.errors.read_text()
    assert rest.splitlines() == ["stopping ...", "stopped  everything has ended cleanly"]


def test_sighup_has_every_process_read_its_files_anew_and_ends_nothing(
    start: Callable[..., Up], tmp_path: Path
) -> None:
    authority = Authority()
    certificate, key = authority.issue(tmp_path)
    up = start(
        PEEP_TLS_CERT_FILE=str(certificate),
        PEEP_TLS_KEY_FILE=str(key),
        PEEP_POP3_WORKERS="2",
        PEEP_LOG_FORMAT="json",
    ).ready()
    client = up.log_in()
    authority.issue(tmp_path)
    up.send(signal.SIGHUP)
    processes = 5  # POP3's parent and two workers, PEEP, HTTP
    wait_until(lambda: up.errors.read_text().count('"asked to reload"') == processes, "all are asked")
    # One line a service that has a certificate.
    wait_until(lambda: up.errors.read_text().count('"certificate changed"') == 2, "both read it")
    assert client.stat()[0] == 3
    assert httpx.get(f"{up.lines['http']}/livez", timeout=SECONDS).status_code == 200
    assert up.stop()[0] == 0
    assert "worker_ended" not in up.errors.read_text()


def own(terminal: int) -> None:
    """Have a terminal to oneself, whose end ends programs; errors go where a failed test can show them."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run under nohup
    errors = os.dup(2)
    os.login_tty(terminal)
    os.dup2(errors, 2)


def test_a_terminal_that_closes_ends_everything_cleanly(tmp_path: Path) -> None:
    ours, terminal = pty.openpty()
    up = Up(tmp_path, {}, stdin=terminal, preexec_fn=partial(own, terminal))
    try:
        os.close(terminal)
        shown = b""
        while b"ready " not in shown:
            shown += os.read(ours, 65536)
        os.close(ours)
        assert up.process.wait(SECONDS) == 0, up.errors.read_text()
    finally:
        up.clean_up()


def test_a_signal_during_the_start_ends_everything_cleanly(start: Callable[..., Up]) -> None:
    up = start()
    up.until("redis")
    exit_code, rest = up.stop()
    assert exit_code == 0, up.errors.read_text()
    assert rest.splitlines()[-1].startswith("stopped ")


def test_a_second_interrupt_ends_everything_at_once(start: Callable[..., Up]) -> None:
    up = start(PEEP_DRAIN_SECONDS="600").ready()
    up.log_in()
    up.send(signal.SIGINT)
    up.until("stopping")
    up.send(signal.SIGINT)
    exit_code, _ = up.end()
    assert exit_code == 1
    assert "peepctl: had to kill what was still running" in up.errors.read_text()


def test_users_and_secrets_are_as_before_after_a_restart(start: Callable[..., Up], tmp_path: Path) -> None:
    first = start().ready()
    password = (tmp_path / "data" / "admins").read_text()
    client = first.log_in()
    client.dele(1)
    client.quit()
    assert first.stop()[0] == 0
    second = start().ready()
    assert (tmp_path / "data" / "admins").read_text() == password
    assert "admin" not in second.lines
    client = second.log_in()
    assert client.stat()[0] == 2
    client.quit()


def test_without_the_demo_there_is_no_demo_user(start: Callable[..., Up], tmp_path: Path) -> None:
    up = start(PEEP_DEMO="0").ready()
    assert "fetch:" not in up.lines["ready"]
    assert list((tmp_path / "data" / "mail").iterdir()) == []
    with pytest.raises(poplib.error_proto, match="AUTH"):
        up.log_in()


@NEEDS_PROC
def test_a_killed_service_is_started_again_and_the_others_go_on(running: Up) -> None:
    client = running.log_in()
    os.kill(process_of(running, "state_api"), signal.SIGKILL)
    assert running.until("state-api") == "was ended by SIGKILL: starting it again"
    assert httpx.get(f"{running.until('http')}/livez", timeout=SECONDS).status_code == 200
    os.kill(process_of(running, "state_api"), signal.SIGKILL)
    running.until("http")
    assert client.noop().startswith(b"+OK")
    client.quit()


@NEEDS_PROC
def test_a_service_that_keeps_ending_stops_the_rest(start: Callable[..., Up]) -> None:
    up = start(*WITH_SHORT_PAUSES).ready()
    for _ in range(4):
        os.kill(process_of(up, "peep_gateway"), signal.SIGKILL)
        up.until("peep")
    os.kill(process_of(up, "peep_gateway"), signal.SIGKILL)
    exit_code, _ = up.end()
    assert exit_code == 1
    told = "peepctl: peep-gateway was ended by SIGKILL, 5 times in a row soon after its start"
    assert told in up.errors.read_text()


@NEEDS_PROC
def test_a_killed_embedded_server_is_started_again_and_the_services_wait(running: Up) -> None:
    client = running.log_in()
    os.kill(process_of(running, "redis.sock"), signal.SIGKILL)
    assert running.until("the") == "embedded server was ended by SIGKILL: starting it again"
    wait_until(lambda: is_served(running), "logins work again")
    assert client.noop().startswith(b"+OK")
    name, password = (running.data / "admins").read_text().strip().split(":")
    asked = partial(httpx.get, f"{running.lines['http']}/v1/users", auth=(name, password), timeout=SECONDS)
    wait_until(lambda: asked().status_code == 200, "HTTP has its store again, too")
    assert [user["username"] for user in asked().json()["users"]] == ["demo"]
    client.quit()


def is_served(up: Up) -> bool:
    host, _, port = up.lines["pop3"].rpartition(":")
    with Pop3Client((host, int(port))) as client:
        return client.greeting.startswith(b"+OK") and b"[AUTH]" in client.exchange(b"USER x\r\nPASS x\r\n")


@NEEDS_PROC
def test_an_embedded_server_that_cannot_start_three_times_in_a_row_stops_the_rest(
    start: Callable[..., Up],
) -> None:
    up = start(*WITH_SHORT_PAUSES).ready()
    server = process_of(up, "redis.sock")
    next((up.data / "redis").glob("*/*.manifest")).write_text("this is no manifest\n")
    os.kill(server, signal.SIGKILL)
    exit_code, _ = up.end()
    assert exit_code == 1
    (line,) = (line for line in up.errors.read_text().splitlines() if line.startswith("peepctl: "))
    assert "peepctl: 3 starts in a row have failed: the embedded server ended with exit code 1: " in line
    assert "manifest" in line
    assert line.count(str(up.data / "redis" / "server.log")) == 1


@NEEDS_PROC
def test_no_server_outlives_a_peepctl_that_is_killed_while_it_starts_one_again(
    start: Callable[..., Up],
) -> None:
    up = start().ready()
    os.kill(process_of(up, "redis.sock"), signal.SIGKILL)
    up.until("the")
    up.send(signal.SIGKILL)
    assert up.end()[0] == -signal.SIGKILL


def test_nothing_outlives_a_killed_peepctl(start: Callable[..., Up]) -> None:
    up = start().ready()
    up.send(signal.SIGKILL)
    assert up.end() == (-signal.SIGKILL, "")


def test_a_taken_port_is_named_and_stops_the_rest(start: Callable[..., Up]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = start(PEEP_PORT=port)
        exit_code, _ = up.end()
    assert exit_code == 1
    errors = up.errors.read_text()
    assert re.search(
        rf"^peep-gateway: .*PEEP_PORT.*{port}|^peep-gateway: .*{port}.*PEEP_PORT", errors, re.MULTILINE
    )
    assert "peepctl: peep-gateway ended with exit code 1 before it was ready" in errors


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PEEP_DRAIN_SECONDS", "soon"), ("PEEP_DEMO", "perhaps"), ("PEEP_DATA_DIR", "/dev/null/data")],
)
def test_a_wrong_variable_of_its_own_is_named_in_one_line(tmp_path: Path, variable: str, value: str) -> None:
    done = Peepctl(tmp_path).run("up", **{variable: value})
    assert done.code in {1, 2}
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"peepctl: {variable}={value}: ")


def test_a_second_one_on_the_same_data_is_refused_and_the_first_goes_on(
    running: Up, start: Callable[..., Up]
) -> None:
    second = start(PEEP_DATA_DIR=str(running.data))
    exit_code, output = second.end()
    assert (exit_code, output) == (1, "")
    (line,) = second.errors.read_text().splitlines()
    assert f"is in use by process {running.process.pid}: stop that process first" in line
    assert running.pop3().quit().startswith(b"+OK")


def test_an_external_server_gets_no_demo_user(start: Callable[..., Up], tmp_path: Path) -> None:
    external = EmbeddedServer(tmp_path / "external")
    external.start()
    try:
        up = start(PEEP_REDIS_URL=external.url).ready()
        assert up.lines["redis"] == external.url
        assert "demo" not in up.lines
        assert not (tmp_path / "data" / "redis").exists()
        assert up.stop()[0] == 0
    finally:
        external.kill()
