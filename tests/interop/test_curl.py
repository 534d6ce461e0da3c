"""The curl program against the service."""

import subprocess
from pathlib import Path

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, files_in, require
from support.lifelike_mail import MESSAGES, first_difference
from support.pop3_process import PASSWORD, Pop3Process

MESSAGE = b"From: a@example.org\nSubject: dots\n\n.\n..two\r\nlast line"
WIRE = b"From: a@example.org\r\nSubject: dots\r\n\r\n.\r\n..two\r\nlast line\r\n"


@pytest.fixture(autouse=True)
def _curl() -> None:
    require("curl")


class Curl:
    """Runs curl as one user of the service; `--disable` leaves out all settings but those given here."""

    def __init__(self, home: ClientHome, service: Pop3Process, way: Way = Way.PLAIN) -> None:
        self._home = home
        self._scheme = "pop3s" if way is Way.POP3S else "pop3"
        self._address = way.address(service)
        # An upgrade that is only hoped for would pass without TLS.
        self._ways = ["--cacert", str(home.ca_file)] + (["--ssl-reqd"] if way is Way.STLS else [])

    def __call__(
        self, username: str, path: str, *options: str | Path
    ) -> "subprocess.CompletedProcess[bytes]":
        host, port = self._address
        url = f"{self._scheme}://{username}:{PASSWORD}@{host}:{port}/{path}"
        always = ["--disable", "--silent", "--max-time", "30", "--noproxy", "*", *self._ways]
        return self._home.run("curl", *always, *options, url)


@pytest.fixture
def curl(home: ClientHome, service: Pop3Process) -> Curl:
    return Curl(home, service)


def fetch_all(curl: Curl, maildrop: LifelikeMaildrop, home: ClientHome, *options: str) -> bytes:
    """Fetch the 200 messages, which curl stores as they come; return what it said about the dialogue."""
    folder = home.make_folder("stored")
    # One number each, so that the files stand in the order of the numbers. All go over one connection.
    output = folder / "message-#1"
    answer = curl(maildrop.username, f"[001-{MESSAGES}]", "--verbose", "--output", output, *options)
    assert answer.returncode == 0, answer.stdout[-2000:]
    assert first_difference(files_in(folder), in_order=True) == ""
    maildrop.expect_kept()
    return answer.stdout


@pytest.mark.parametrize("way", Way)
def test_curl_stores_lifelike_messages_exactly(
    way: Way, service: Pop3Process, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    fetch_all(Curl(home, service, way), maildrop, home)


@pytest.mark.parametrize(
    ("way", "login", "command"),
    [
        (Way.PLAIN, "AUTH=PLAIN", b"> AUTH PLAIN"),
        (Way.STLS, "AUTH=PLAIN", b"> AUTH PLAIN"),
        (Way.POP3S, "AUTH=PLAIN", b"> AUTH PLAIN"),
        (Way.PLAIN, "AUTH=*", b"> AUTH "),
    ],
)
def test_curl_logs_in_as_it_is_told(
    way: Way, login: str, command: bytes, service: Pop3Process, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    said = fetch_all(Curl(home, service, way), maildrop, home, "--login-options", login)
    assert command in said


def test_curl_logs_in_by_scram(curl: Curl, maildrop: LifelikeMaildrop, home: ClientHome) -> None:
    if b"gsasl" not in home.run("curl", "--version").stdout:
        pytest.skip("this curl is built without SCRAM; mpop and mutt prove it")
    said = fetch_all(curl, maildrop, home, "--login-options", "AUTH=SCRAM-SHA-256")
    assert b"> AUTH SCRAM-SHA-256" in said


def test_curl_refuses_a_service_whose_certificate_it_does_not_trust(
    service: Pop3Process, home: ClientHome
) -> None:
    username = service.add_user(MESSAGE)
    answer = Curl(home, service, Way.POP3S)(username, "1", "--cacert", "/dev/null")
    assert answer.returncode != 0
    assert MESSAGE not in answer.stdout


def test_curl_fetches_a_message_with_exactly_its_lines_in_crlf(curl: Curl, service: Pop3Process) -> None:
    answer = curl(service.add_user(MESSAGE), "1")
    assert (answer.returncode, answer.stdout) == (0, WIRE)


def test_curl_lists_the_maildrop(curl: Curl, service: Pop3Process) -> None:
    answer = curl(service.add_user(MESSAGE, b"x\n"), "")
    assert (answer.returncode, answer.stdout) == (0, b"1 %d\r\n2 3\r\n" % len(WIRE))


def test_curl_lists_unique_ids(curl: Curl, service: Pop3Process) -> None:
    username = service.add_user(b"x\n")
    answer = curl(username, "", "--request", "UIDL")
    (name,) = service.files(username)
    assert (answer.returncode, answer.stdout) == (0, f"1 {name}\r\n".encode())


def test_curl_deletes_a_message(curl: Curl, service: Pop3Process) -> None:
    username = service.add_user(MESSAGE, b"x\n")
    answer = curl(username, "1", "--request", "DELE", "--head")
    assert answer.returncode == 0
    assert len(service.files(username)) == 1


def test_curl_reports_a_message_that_is_not_there(curl: Curl, service: Pop3Process) -> None:
    answer = curl(service.add_user(MESSAGE), "2")
    assert answer.returncode != 0
    assert answer.stdout == b""
