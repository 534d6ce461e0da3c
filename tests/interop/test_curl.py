"""The curl program against the service."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from support.pop3_process import PASSWORD, Pop3Process
from support.redis_server import RedisServer

MESSAGE = b"From: a@example.org\nSubject: dots\n\n.\n..two\r\nlast line"
WIRE = b"From: a@example.org\r\nSubject: dots\r\n\r\n.\r\n..two\r\nlast line\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Process]:
    if shutil.which("curl") is None:
        if os.environ.get("CI") or os.environ.get("PEEP_REQUIRE_CLIENTS"):
            pytest.fail("curl is not installed, and this run has to have it")
        pytest.skip("curl is not installed")
    with (
        RedisServer() as redis_server,
        Pop3Process(redis_server.url, tmp_path_factory.mktemp("pop3")) as process,
    ):
        yield process


def curl(
    service: Pop3Process, username: str, path: str, *options: str
) -> "subprocess.CompletedProcess[bytes]":
    host, port = service.address
    url = f"pop3://{username}:{PASSWORD}@{host}:{port}/{path}"
    command = ["curl", "--disable", "--silent", "--max-time", "20", "--noproxy", "*", *options, url]
    return subprocess.run(command, capture_output=True, check=False)


def test_curl_fetches_a_message_with_exactly_its_lines_in_crlf(service: Pop3Process) -> None:
    answer = curl(service, service.add_user(MESSAGE), "1")
    assert (answer.returncode, answer.stdout) == (0, WIRE)


def test_curl_lists_the_maildrop(service: Pop3Process) -> None:
    answer = curl(service, service.add_user(MESSAGE, b"x\n"), "")
    assert (answer.returncode, answer.stdout) == (0, b"1 %d\r\n2 3\r\n" % len(WIRE))


def test_curl_lists_unique_ids(service: Pop3Process) -> None:
    username = service.add_user(b"x\n")
    answer = curl(service, username, "", "--request", "UIDL")
    (name,) = service.files(username)
    assert (answer.returncode, answer.stdout) == (0, f"1 {name}\r\n".encode())


def test_curl_deletes_a_message(service: Pop3Process) -> None:
    username = service.add_user(MESSAGE, b"x\n")
    answer = curl(service, username, "1", "--request", "DELE", "--head")
    assert answer.returncode == 0
    assert len(service.files(username)) == 1


def test_curl_reports_a_message_that_is_not_there(service: Pop3Process) -> None:
    answer = curl(service, service.add_user(MESSAGE), "2")
    assert answer.returncode != 0
    assert answer.stdout == b""
