"""What one process's environment says, and what holds for all: the latter is changed by operators only."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from state_store.repository import StateRepository
from support.peep_program import port_of, program
from support.pop3_process import Pop3Process

SECONDS = 30


def events(service: Pop3Process) -> list[dict[str, str]]:
    whole_lines = service.log.read_text().rpartition("\n")[0].splitlines()
    return [json.loads(line) for line in whole_lines if line.startswith("{")]


def failed_newcomer(redis_url: str, mail: Path, **settings: str) -> str:
    """Return the one line that a POP3 service leaves which may not serve beside the others."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}
    given |= {"PEEP_REDIS_URL": redis_url, "PEEP_MAIL_DIR": str(mail), "PEEP_POP3_PORT": "0"}
    given |= {"PEEP_POP3_WORKERS": "1", "PEEP_LOG_FORMAT": "json"}
    answer = subprocess.run(
        [sys.executable, "-m", "pop3_service"],
        env={**given, **settings},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    return line


def test_newcomer_with_another_mail_directory_serves_what_is_in_force_and_says_so(
    redis_url: str, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with Pop3Process(redis_url, tmp_path / "first") as first:
        username = first.add_user(b"Subject: a\n\nb\n")
        with Pop3Process(redis_url, tmp_path / "second", workers=2) as second:
            for service in (first, second):
                with service.log_in(username) as client:
                    assert len(client.ask_lines("LIST")) == 1
                    assert client.quit().startswith(b"+OK")
            (said,) = [event for event in events(second) if event["event"].startswith("PEEP_MAIL_DIR")]
        assert said["level"] == "warning"
        assert said["mail_directory"] == str(first.mail)


def test_mail_directory_of_the_environment_decides_again_once_nobody_is_there(
    redis_url: str, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with Pop3Process(redis_url, tmp_path / "first") as first:
        username = first.add_user(b"Subject: a\n\nb\n")
        assert first.terminate() == 0
    with Pop3Process(redis_url, tmp_path / "second") as second:
        second.deliver(username, b"1\n", b"2\n")
        with second.log_in(username) as client:
            assert len(client.ask_lines("LIST")) == 2


def test_newcomer_that_cannot_use_the_mail_directory_in_force_ends_with_one_line(
    redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    with Pop3Process(redis_url, tmp_path) as first:
        username = first.add_user(b"Subject: a\n\nb\n")
        line = failed_newcomer(redis_url, tmp_path / "elsewhere", PEEP_MAIL_ROOTS=str(tmp_path / "elsewhere"))
        assert line.startswith(f"pop3-service: the mail directory in force is {first.mail}")
        with first.log_in(username) as client:
            assert len(client.ask_lines("LIST")) == 1


def test_newcomer_with_another_layout_of_maildirs_ends_with_one_line(redis_url: str, tmp_path: Path) -> None:
    with Pop3Process(redis_url, tmp_path, PEEP_MAILDIR_LAYOUT="{domain}/{local}") as first:
        line = failed_newcomer(redis_url, first.mail, PEEP_MAILDIR_LAYOUT="{local}/{domain}")
        assert "PEEP_MAILDIR_LAYOUT={local}/{domain}" in line
        assert "{domain}/{local}" in line
        assert len(asyncio.run(_instances(redis_url))) == 1


async def _instances(redis_url: str) -> list[str]:
    repository = StateRepository(redis_url)
    try:
        return [status.instance.instance_id for status in await repository.instances()]
    finally:
        await repository.close()


def test_gateway_with_other_administrators_throws_out_nobody(redis_url: str, tmp_path: Path) -> None:
    others = {"PEEP_ADMINS": "carol:knock"}
    with ExitStack() as stack:
        stack.enter_context(program("peep_gateway", tmp_path / "one.log", redis_url))
        first = port_of("peep_gateway", tmp_path / "one.log")
        with ExitStack() as second_stack:
            second_stack.enter_context(program("peep_gateway", tmp_path / "two.log", redis_url, **others))
            second = port_of("peep_gateway", tmp_path / "two.log")
            for port in (first, second):
                assert _sign_in(port, "bob", "sesame") == _sign_in(port, "carol", "knock") == b"+\r\n"
        # The second has ended: what its settings named stays until another front end starts with others.
        stack.enter_context(
            program("peep_gateway", tmp_path / "three.log", redis_url, PEEP_ADMINS="dave:hello")
        )
        third = port_of("peep_gateway", tmp_path / "three.log")
        assert _sign_in(third, "bob", "sesame") == _sign_in(third, "dave", "hello") == b"+\r\n"
        assert _sign_in(third, "carol", "knock") == b"-2\r\n"


def _sign_in(port: int, name: str, password: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(f"a {name} {password}\r\n".encode())
        return connection.recv(100)
