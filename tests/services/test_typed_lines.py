"""What people type and what a client forgets: lines that end with LF, or not at all."""

import socket
from collections.abc import Iterator

import pytest

from support.certificates import Authority
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, pop3_with_certificate

SHORT = b"Subject: short\n\nHello\n"
ENABLED = b"+OK UTF8 enabled\r\n"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Pop3Process]:
    folder = tmp_path_factory.mktemp("typed")
    with pop3_with_certificate(folder, authority) as process:
        yield process


@pytest.fixture(params=["plain", "STLS", "TLS"])
def client(
    request: pytest.FixtureRequest, service: Pop3Process, authority: Authority
) -> Iterator[Pop3Client]:
    """Give a client before login, whose octets leave as they are written."""
    context = authority.client_context()
    with service.connect(tls=context if request.param == "TLS" else None) as client:
        if request.param == "STLS":
            client.start_tls(context)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


def send(client: Pop3Client, *pieces: bytes) -> None:
    for piece in pieces:
        client.send(piece)


def test_session_of_lines_that_end_with_lf(service: Pop3Process, client: Pop3Client) -> None:
    username = service.add_user(SHORT)
    send(
        client, b"USER %b\n" % username.encode(), b"PASS %b" % PASSWORD.encode(), b"\nLIST \nDELE 1\nQUIT \n"
    )
    assert client.rest().splitlines(keepends=True) == [
        b"+OK send PASS\r\n",
        b"+OK 1 message (25 octets)\r\n",
        b"+OK 1 message (25 octets)\r\n",
        b"1 25\r\n",
        b".\r\n",
        b"+OK message marked as deleted\r\n",
        b"+OK Peep signing off\r\n",
    ]
    assert service.files(username) == []


def test_stls_may_end_with_lf_and_nothing_sent_with_it_survives(
    service: Pop3Process, authority: Authority
) -> None:
    with service.connect() as client:
        client.send(b"STLS\nQUIT\n")
        assert client.line() == b"+OK begin TLS negotiation\r\n"
        client.socket = authority.client_context().wrap_socket(client.socket, server_hostname="localhost")
        client._file = client.socket.makefile("rb")
        assert client.ask("UTF8") == ENABLED
        assert client.quit().startswith(b"+OK")


@pytest.mark.parametrize(
    ("pieces", "late"),
    [
        ([b"UTF8"], []),
        ([b"UT", b"F8"], [b"\r\n"]),
        ([b"U", b"T", b"F", b"8"], [b"\r", b"\n"]),
        ([b"NOOP\r\nUTF8"], [b"\n"]),
    ],
)
def test_utf8_without_an_end_is_obeyed_and_its_end_passed_over(
    client: Pop3Client, pieces: list[bytes], late: list[bytes]
) -> None:
    # Evolution 3.46: it sends these four octets when CAPA offers UTF8, and waits for the reply.
    send(client, *pieces)
    if pieces[0].startswith(b"NOOP"):
        assert client.line() == b"-ERR not before login\r\n"
    assert client.line() == ENABLED
    send(client, *late, b"USER bob\r\n", b"\r\n", b"QUIT\r\n")
    assert client.rest() == b"+OK send PASS\r\n-ERR unknown command\r\n+OK Peep signing off\r\n"


def test_utf8_may_be_said_without_an_end_again(client: Pop3Client) -> None:
    for _ in range(3):
        send(client, b"UTF8")
        assert client.line() == ENABLED
    send(client, b"\r\n")
    assert client.quit() == b"+OK Peep signing off\r\n"


@pytest.mark.parametrize("begun", [b"CAPA", b"utf8", b"UTF8 ", b"QUIT", b"UTF"])
def test_no_other_line_is_obeyed_before_its_end(service: Pop3Process, begun: bytes) -> None:
    with service.connect() as waiting:
        send(waiting, begun)
        _wait_longer_than_the_silence(service)
        send(waiting, b" x\r\n", b"QUIT\r\n")
        assert waiting.rest().count(b"\r\n") == 2


def test_utf8_without_an_end_is_not_obeyed_after_login_nor_within_auth(service: Pop3Process) -> None:
    with service.log_in(service.add_user()) as logged_in, service.connect() as answering:
        assert answering.ask("AUTH PLAIN") == b"+ \r\n"
        for client in (logged_in, answering):
            client.send(b"UTF8")
        _wait_longer_than_the_silence(service)
        assert logged_in.ask(" x") == b"-ERR too many arguments\r\n"
        assert answering.ask("*").startswith(b"-ERR the response is not well-formed base64")
        assert answering.quit().startswith(b"+OK")


def _wait_longer_than_the_silence(service: Pop3Process) -> None:
    """Return when a client that began its silence later has been answered."""
    with service.connect() as later:
        later.send(b"UTF8")
        assert later.line() == ENABLED


def test_auth_line_may_have_12288_octets(client: Pop3Client) -> None:
    assert client.ask("AUTH PLAIN " + "A" * (12_288 - 13)).startswith(b"-ERR the response")
    assert client.ask("AUTH PLAIN " + "A" * 12_288).startswith(b"-ERR the response is too long")
    assert client.ask("NOOP " + "A" * 12_288).startswith(b"-ERR line is longer than 255 octets")
    assert client.quit().startswith(b"+OK")
