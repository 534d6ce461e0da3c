"""POP3 inside TLS as users meet it: STLS, POP3S, what a password may travel in, certificates that change."""

import asyncio
import base64
import contextlib
import functools
import os
import re
import signal
import socket
import ssl
import struct
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pop3_service.connection
from line_server.listener import listen
from line_server.listener_options import ListenerOptions
from line_server.server import LineServer
from pop3_service.connection import Pop3Connection
from pop3_service.context import Pop3Context
from pop3_service.disk import DiskThreads
from pop3_service.listing import Listings
from pop3_service.maildir import Maildirs
from pop3_service.protocol import replies
from pop3_service.protocol.policy import Policy
from state_store.credentials.authentication import Authenticator
from state_store.credentials.opaque_string import opaque_string
from state_store.credentials.passwords import Passwords
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import Counters
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.certificates import Authority
from support.pop3_process import PASSWORD, SECONDS, Pop3Client, Pop3Process, Start, wait_until
from support.redis_server import RedisServer
from support.scram_dialogue import encoded, scram

SHORT = b"Subject: short\n\nHello\n"
WIRE = [b"Subject: short\r\n", b"\r\n", b"Hello\r\n"]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def trusting(authority: Authority) -> ssl.SSLContext:
    context = authority.client_context()
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def with_certificate(authority: Authority, folder: Path) -> dict[str, Any]:
    certificate, key = authority.issue(folder)
    return {"PEEP_TLS_CERT_FILE": str(certificate), "PEEP_TLS_KEY_FILE": str(key)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Pop3Process]:
    """Give the one service of tests that look at nobody's sessions but their own."""
    folder = tmp_path_factory.mktemp("pop3")
    with (
        RedisServer() as redis_server,
        Pop3Process(redis_server.url, folder, workers=1, **with_certificate(authority, folder)) as process,
    ):
        yield process


@pytest.fixture
def start(redis_url: str, tmp_path: Path, authority: Authority) -> Iterator[Start]:
    """Give a function that starts a service of the test's own, with a certificate in its folder."""
    with ExitStack() as stack:

        def start(*, workers: int = 1, **settings: Any) -> Pop3Process:
            given: dict[str, Any] = {**with_certificate(authority, tmp_path), **settings}
            return stack.enter_context(Pop3Process(redis_url, tmp_path, workers=workers, **given))

        yield start


def ending_of(service: Pop3Process, client: Pop3Client) -> dict[str, object]:
    """Return the log's entry for a client's session, once there is one."""
    session_id = client.greeting.split()[-1].decode()

    def found() -> list[dict[str, object]]:
        return [entry for entry in service.logged("session ended") if entry["session"] == session_id]

    wait_until(lambda: bool(found()), f"the end of session {session_id} is logged")
    (entry,) = found()
    return entry


def everything(connected: socket.socket) -> bytes:
    """Return what comes up to the server's close, be it a reset."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connected.recv(4096):
            received += chunk
    return received


# A session inside TLS


def test_stls_then_login_fetch_and_delete(service: Pop3Process, trusting: ssl.SSLContext) -> None:
    username = service.add_user(SHORT, SHORT)
    with service.connect() as client:
        assert b"STLS\r\n" in client.ask_lines("CAPA")
        client.start_tls(trusting)
        assert b"STLS\r\n" not in client.ask_lines("CAPA")
        client.log_in(username)
        assert b"STLS\r\n" not in client.ask_lines("CAPA")
        assert client.ask("STLS").startswith(b"-ERR")
        assert client.ask_lines("RETR 1") == WIRE
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert len(service.files(username)) == 1
    ending = ending_of(service, client)
    assert (ending["tls"], ending["ending"], ending["removed"]) == ("TLSv1.3", "quit", 1)


def test_implicit_tls_serves_the_whole_session_and_refuses_a_second_tls(
    service: Pop3Process, trusting: ssl.SSLContext
) -> None:
    username = service.add_user(SHORT)
    with service.connect(tls=trusting) as client:
        assert b"STLS\r\n" not in client.ask_lines("CAPA")
        assert client.ask("STLS") == b"-ERR TLS is active already\r\n"
        client.log_in(username)
        assert client.ask_lines("RETR 1") == WIRE
        assert client.quit().startswith(b"+OK")
    assert ending_of(service, client)["tls"] == "TLSv1.3"


def test_second_stls_is_refused_and_the_session_goes_on(
    service: Pop3Process, trusting: ssl.SSLContext
) -> None:
    with service.connect() as client:
        client.start_tls(trusting)
        assert client.ask("STLS") == b"-ERR TLS is active already\r\n"
        assert client.quit().startswith(b"+OK")


def test_name_given_before_stls_is_forgotten(service: Pop3Process, trusting: ssl.SSLContext) -> None:
    with service.connect() as client:
        assert client.ask(f"USER {service.add_user()}").startswith(b"+OK")
        client.start_tls(trusting)
        assert client.ask(f"PASS {PASSWORD}") == b"-ERR send USER right before PASS\r\n"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_taken(
    service: Pop3Process, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    with service.connect(tls=context) as client:
        assert client.greeting.startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert str(ending_of(service, client)["tls"]).replace(".", "_") in (
        f"TLSv{version.name[4:]}",
        version.name,
    )


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_refused_and_the_next_client_served(
    service: Pop3Process, authority: Authority, trusting: ssl.SSLContext
) -> None:
    context = authority.client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        service.connect(tls=context)
    with service.connect() as client, pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        client.start_tls(context)
    assert str(ending_of(service, client)["ending"]).startswith("TLS: ")
    with service.connect(tls=trusting) as client:
        assert client.quit().startswith(b"+OK")


@pytest.mark.parametrize(
    "ahead", [b"QUIT\r\n", b"QUIT\n", b"CAPA\r\nNOOP\r\n", b"USER bo", b"UTF8", b"x" * 5000]
)
def test_nothing_sent_with_stls_survives_it(
    service: Pop3Process, trusting: ssl.SSLContext, ahead: bytes
) -> None:
    with service.connect() as client:
        client.send(b"STLS\r\n" + ahead)
        assert client.line() == b"+OK begin TLS negotiation\r\n"
        client.socket = trusting.wrap_socket(client.socket, server_hostname="localhost")
        client._file = client.socket.makefile("rb")
        assert client.ask("NOOP") == b"-ERR not before login\r\n"
        assert client.quit().startswith(b"+OK")


@pytest.mark.parametrize("begins_with_stls", [True, False])
def test_clear_text_instead_of_a_handshake_is_closed_at_once(
    service: Pop3Process, trusting: ssl.SSLContext, begins_with_stls: bool
) -> None:
    address = service.address if begins_with_stls else service.tls_address
    with socket.create_connection(address, timeout=SECONDS) as client:
        if begins_with_stls:
            client.recv(512)
            client.sendall(b"STLS\r\n")
            assert client.recv(512) == b"+OK begin TLS negotiation\r\n"
        client.sendall(b"QUIT\r\n")
        assert not re.search(rb"\+OK|-ERR", everything(client))
    with service.connect(tls=trusting) as neighbour:
        assert neighbour.quit().startswith(b"+OK")


@pytest.mark.parametrize("octets", [0, 1, 60])
def test_client_that_vanishes_in_the_handshake_leaves_nothing_behind(
    service: Pop3Process, octets: int
) -> None:
    beginning = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".ljust(60, b"\0")[:octets]

    def expect_open(connections: int) -> None:
        wait_until(
            lambda: service.counters().current_connections == connections, f"{connections} connections"
        )

    for is_reset in (False, True):
        expect_open(0)
        with socket.create_connection(service.tls_address, timeout=SECONDS) as client:
            client.sendall(beginning)
            expect_open(1)
            if is_reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    expect_open(0)


def test_server_says_its_end_before_it_closes(service: Pop3Process, trusting: ssl.SSLContext) -> None:
    # Without a close_notify this client's read fails, as that of a careful one does.
    with (
        socket.create_connection(service.tls_address, timeout=SECONDS) as connected,
        trusting.wrap_socket(connected, server_hostname="localhost", suppress_ragged_eofs=False) as client,
    ):
        received = client.recv(512)
        client.sendall(b"QUIT\r\n")
        while chunk := client.recv(512):
            received += chunk
    assert received.endswith(b"+OK Peep signing off\r\n")


def test_session_that_loses_tls_without_quit_removes_nothing(
    service: Pop3Process, trusting: ssl.SSLContext
) -> None:
    username = service.add_user(SHORT)
    with service.connect(tls=trusting) as client:
        client.log_in(username)
        assert client.ask("DELE 1").startswith(b"+OK")
        assert isinstance(client.socket, ssl.SSLSocket)
        client.socket.unwrap()
    service.expect_free(username)
    with service.log_in(username) as again:
        assert again.ask("STAT") == b"+OK 1 25\r\n"


# Counts


def test_retrieved_bytes_are_those_inside_tls(start: Start, trusting: ssl.SSLContext) -> None:
    service = start()
    username = service.add_user(SHORT, b"Subject: long\n\n" + b"x" * 70 + b"\n" * 50_000)
    with service.connect(tls=trusting) as client:
        client.log_in(username)
        client.ask_lines("UIDL")
        client.ask_lines("RETR 1")
        client.ask_lines("RETR 2")
        assert client.quit().startswith(b"+OK")
    service.expect_counters(
        Counters(
            retrieved_bytes=client.octets_read,
            retrieved_emails=2,
            historical_connections=1,
            historical_logins=1,
        )
    )
    assert ending_of(service, client)["octets"] == client.octets_read


def test_message_of_20_mb_reaches_a_slow_reader_exactly_and_in_bounded_memory(
    start: Start, trusting: ssl.SSLContext
) -> None:
    service = start()
    line = b".%07d " + b"x" * 62 + b"\n"
    content = b"".join(line % number for number in range(20_000_000 // 71))
    username = service.add_user(SHORT, content)
    with Pop3Client(service.tls_address, window=8192, tls=trusting) as client:
        client.log_in(username)
        client.ask_lines("RETR 1")
        before = service.resident_octets()
        client.send(b"RETR 2\r\n")
        assert client.line().startswith(b"+OK")
        expected = b"." + content.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..") + b".\r\n"
        received = client._file.read(len(expected) - 8_000_000)
        wait_until(lambda: service.counters().retrieved_emails == 1, "the second is still on its way")
        assert service.resident_octets() - before < 8_000_000
        received += client._file.read(8_000_000)
        assert received == expected
        wait_until(lambda: service.counters().retrieved_emails == 2, "it counts in the end")
        assert client.quit().startswith(b"+OK")


# Limits and ends


def test_client_over_the_limit_is_told_so_inside_tls(start: Start, trusting: ssl.SSLContext) -> None:
    service = start()
    service.set_max_connections(1)
    with service.connect(), service.connect(tls=trusting) as refused:
        assert refused.greeting == b"-ERR [SYS/TEMP] too many connections (limit 1)\r\n"
        assert refused.rest() == b""
        service.expect_counters(Counters(current_connections=1, historical_connections=1))


@pytest.mark.parametrize("workers", [1, 2])
def test_open_tls_sessions_are_told_that_the_server_stops(
    start: Start, trusting: ssl.SSLContext, workers: int
) -> None:
    service = start(workers=workers)
    username = service.add_user(SHORT)
    with service.connect(tls=trusting) as waiting, service.connect(tls=trusting) as client:
        client.log_in(username)
        assert client.ask("DELE 1").startswith(b"+OK")
        service.process.send_signal(signal.SIGTERM)
        for told in (client, waiting):
            assert told.rest() == b"-ERR [SYS/TEMP] the server is going down, try again later\r\n"
            told.close()
        assert service.process.wait(SECONDS) == 0
    assert len(service.files(username)) == 1


def test_stop_is_not_held_up_by_a_handshake_that_never_ends(start: Start) -> None:
    service = start()
    with socket.create_connection(service.tls_address, timeout=SECONDS) as silent:
        wait_until(lambda: service.counters().current_connections == 1, "it is counted")
        assert service.terminate() == 0
        assert everything(silent) == b""


def test_handshake_that_never_ends_is_no_way_round_the_idle_timeout(start: Start) -> None:
    service = start()
    service.set_timeout(1)
    with service.connect() as probe:
        assert probe.rest() == b"", "the new timeout holds by now"
    with (
        socket.create_connection(service.tls_address, timeout=SECONDS) as silent,
        socket.create_connection(service.address, timeout=SECONDS) as begun,
    ):
        begun.recv(512)
        begun.sendall(b"STLS\r\n")
        begun.recv(512)
        # The sockets of this test give up after 30 s, and the timeout before was 600.
        assert everything(silent) == everything(begun) == b""


@dataclass
class InThisProcess:
    """Pop3Connections on this event loop: waits can be shortened."""

    repository: StateRepository
    instance: LiveInstance
    server: LineServer
    address: tuple[str, int]


@asynccontextmanager
async def in_this_process(
    repository: StateRepository, context: ssl.SSLContext, *, starts: bool = True, is_implicit: bool = True
) -> AsyncIterator[InThisProcess]:
    async def directory_fault(_: str) -> str:
        return ""

    passwords = Passwords()
    instance = LiveInstance(
        repository,
        InstanceOptions("localhost", 1, "0"),
        InstanceCallbacks(directory_fault, settings_changed=lambda: None, lease_lapsed=lambda: None),
    )
    with closing(DiskThreads()) as disk:
        maildirs = Maildirs()
        pop3 = Pop3Context(
            instance,
            maildirs,
            passwords,
            Authenticator(repository, passwords),
            disk,
            Listings(maildirs, disk),
            Policy("Peep-0", offers_tls=True),
            lambda: context,
        )
        server = LineServer(functools.partial(Pop3Connection, pop3))
        (bound,) = listen("127.0.0.1", 0, "PEEP_POP3_PORT")
        await server.listen([bound], ListenerOptions(tls=pop3.tls if is_implicit else None))
        address = bound.getsockname()
        if starts:
            await instance.start()
        try:
            yield InThisProcess(repository, instance, server, address)
        finally:
            await server.drain(0, lambda connection: connection.abort())
            if starts:
                await instance.stop()
    passwords.close()


@pytest.fixture(scope="module")
def server_context(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(tmp_path_factory.mktemp("certificate")))
    return context


@pytest.mark.parametrize("is_implicit", [True, False])
async def test_handshake_that_never_ends_is_cut_off_by_the_login_timer(
    repository: StateRepository,
    server_context: ssl.SSLContext,
    is_implicit: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pop3_service.connection, "LOGIN_SECONDS", 0.2)
    async with (
        in_this_process(repository, server_context, is_implicit=is_implicit) as served,
        asyncio.timeout(SECONDS),
    ):
        reader, writer = await asyncio.open_connection(*served.address)
        if not is_implicit:
            await reader.readline()
            writer.write(b"STLS\r\n")
            await reader.readline()
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        while served.server.connections:
            await asyncio.sleep(0.005)


async def test_connection_dismissed_before_it_is_admitted_is_no_session(
    repository: StateRepository, server_context: ssl.SSLContext
) -> None:
    async with (
        in_this_process(repository, server_context, starts=False, is_implicit=False) as served,
        asyncio.timeout(SECONDS),
    ):
        reader, writer = await asyncio.open_connection(*served.address)
        while not served.server.connections:
            await asyncio.sleep(0.005)
        (connection,) = served.server.connections
        assert isinstance(connection, Pop3Connection)
        connection.dismiss("server stopping", replies.GOING_DOWN)
        assert await reader.read() == replies.GOING_DOWN
        await served.instance.start()  # now the store answers
        while served.instance._admission.waiting_connections:
            await asyncio.sleep(0.005)
        writer.close()
        while served.server.connections:
            await asyncio.sleep(0.005)
        await served.instance.stop()
        counters = await served.repository.counters()
        assert (counters.historical_connections, counters.current_connections) == (0, 0)
        assert served.instance._admission.open_connections == 0


# Passwords


def test_passwords_in_the_clear_are_refused_where_tls_is_required(
    start: Start, trusting: ssl.SSLContext
) -> None:
    service = start(PEEP_REQUIRE_TLS="1")
    username = service.add_user(SHORT)
    plain = base64.b64encode(f"\0{username}\0{PASSWORD}".encode()).decode()
    refusal = b"-ERR no passwords in the clear here, use STLS first\r\n"
    with service.connect() as client:
        capabilities = client.ask_lines("CAPA")
        assert b"USER\r\n" not in capabilities
        assert {b"STLS\r\n", b"SASL SCRAM-SHA-256\r\n"} <= set(capabilities)
        assert client.ask(f"USER {username}") == refusal
        assert client.ask(f"PASS {PASSWORD}").startswith(b"-ERR")
        assert client.ask(f"AUTH PLAIN {plain}") == refusal
        assert client.ask("AUTH PLAIN") == refusal
        client.start_tls(trusting)
        assert {b"USER\r\n", b"SASL PLAIN SCRAM-SHA-256\r\n"} <= set(client.ask_lines("CAPA"))
        client.log_in(username)
        assert client.quit().startswith(b"+OK")
    with service.connect(tls=trusting) as client:
        assert client.ask(f"AUTH PLAIN {plain}").startswith(b"+OK 1 message")


def test_scram_that_is_cancelled_gives_no_name_for_a_password_in_the_clear(start: Start) -> None:
    service = start(PEEP_REQUIRE_TLS="1")
    username = service.add_user(SHORT)
    with service.connect() as client:
        assert client.ask("AUTH SCRAM-SHA-256 " + encoded(f"n,,n={username},r=abc")).startswith(b"+ ")
        assert client.ask("*").startswith(b"-ERR")
        assert client.ask(f"PASS {PASSWORD}") == b"-ERR send USER right before PASS\r\n"


@pytest.mark.parametrize("says_at_once", [True, False])
def test_scram_logs_in_on_a_proof_and_proves_the_server_too(
    service: Pop3Process, trusting: ssl.SSLContext, says_at_once: bool
) -> None:
    username = service.add_user(SHORT)
    with service.connect() as in_the_clear:
        reply = scram(in_the_clear, username, PASSWORD, says_at_once=says_at_once)
        assert reply == b"+OK 1 message (25 octets)\r\n"
        assert in_the_clear.ask_lines("RETR 1") == WIRE
        with service.connect(tls=trusting) as second:
            assert scram(second, username, PASSWORD).startswith(b"-ERR [IN-USE]")
        assert in_the_clear.quit().startswith(b"+OK")


def test_scram_with_a_wrong_password_or_name_is_refused_alike(service: Pop3Process) -> None:
    username = service.add_user()
    with service.connect(source="127.0.0.40") as client:
        wrong = b"-ERR [AUTH] wrong user name or password\r\n"
        assert scram(client, username, "wrong") == wrong
        assert scram(client, "nobody", PASSWORD) == wrong
        assert scram(client, username, PASSWORD).startswith(b"+OK")


def test_name_beyond_ascii_is_unknown_by_each_way_in(service: Pop3Process) -> None:
    name, wrong = "Gr\u00fc\u00dfe\U0001f600", b"-ERR [AUTH] wrong user name or password\r\n"
    with service.connect(source="127.0.0.41") as client:
        assert client.ask("UTF8").startswith(b"+OK")
        assert client.ask(f"USER {name}") == b"+OK send PASS\r\n"
        assert client.ask(f"PASS {PASSWORD}") == wrong
        assert client.ask(f"AUTH PLAIN {encoded(f'{chr(0)}{name}{chr(0)}{PASSWORD}')}") == wrong
        # The client's own library would not prepare such a name.
        challenge = client.ask(f"AUTH SCRAM-SHA-256 {encoded(f'n,,n={name},r=abc')}")
        nonce = base64.b64decode(challenge.removeprefix(b"+ ")).decode().partition(",")[0]
        assert client.ask(encoded(f"c=biws,{nonce},p={encoded('x' * 32)}")) == wrong
        assert client.quit().startswith(b"+OK")


def test_plain_takes_an_initial_response_or_asks_for_it(service: Pop3Process) -> None:
    username = service.add_user(SHORT)
    message = encoded(f"\0{username}\0{PASSWORD}")
    with service.connect() as client:
        assert client.ask(f"AUTH PLAIN {message}") == b"+OK 1 message (25 octets)\r\n"
        assert client.quit().startswith(b"+OK")
    with service.connect() as client:
        assert client.ask("AUTH PLAIN") == b"+ \r\n"
        assert client.ask("*") == b"-ERR authentication cancelled\r\n"
        assert client.ask("AUTH PLAIN") == b"+ \r\n"
        assert client.ask(message).startswith(b"+OK")


def add_with_password(service: Pop3Process, username: str, password: str) -> None:
    async def add() -> None:
        credential = await service._passwords.new_credential(opaque_string(password))
        await service.repository.add_user(username, credential, by=OPERATOR)

    service._runner.run(add())


def test_password_beyond_ascii_fits_in_either_unicode_form_by_each_way_in(service: Pop3Process) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Gr\u00fc\u00dfe \u00e5") for form in ("NFC", "NFD"))
    assert composed != decomposed
    username = "grete"
    add_with_password(service, username, decomposed)
    for password in (composed, decomposed):
        with service.connect() as client:
            assert client.ask("UTF8").startswith(b"+OK")
            client.log_in(username, password)
            client.quit()
        with service.connect() as client:
            assert client.ask("AUTH PLAIN " + encoded(f"\0{username}\0{password}")).startswith(b"+OK")
            client.quit()
        with service.connect() as client:
            assert scram(client, username, password).startswith(b"+OK")
            client.quit()


# A certificate that changes


def served_serial(service: Pop3Process, context: ssl.SSLContext) -> str:
    with service.connect(tls=context) as client:
        return serial(client)


def serial(client: Pop3Client) -> str:
    assert isinstance(client.socket, ssl.SSLSocket)
    certificate = client.socket.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def test_replaced_certificate_is_served_to_new_clients_and_a_broken_one_to_nobody(
    start: Start, authority: Authority, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    # The service takes up what it has seen twice.
    service = start(periods={"service_runtime.certificates.POLL_SECONDS": 0.2})
    username = service.add_user(SHORT)
    with service.connect(tls=trusting) as early:
        first = serial(early)
        certificate, _ = authority.issue(tmp_path)
        wait_until(lambda: bool(service.logged("certificate changed")), "the new one is taken up")
        second = served_serial(service, trusting)
        assert second != first
        early.log_in(username)
        certificate.write_bytes(certificate.read_bytes()[:300])
        wait_until(lambda: bool(service.logged("new certificate refused")), "it is refused")
        assert served_serial(service, trusting) == second
        with service.connect() as client:
            client.start_tls(trusting)
            assert serial(client) == second
        assert early.ask_lines("RETR 1") == WIRE
        assert early.quit().startswith(b"+OK")
    (refused,) = service.logged("new certificate refused")
    assert "PEEP_TLS_CERT_FILE" in str(refused["reason"])
    assert len(service.logged("certificate changed")) == 1


def test_workers_that_are_started_anew_with_a_broken_key_serve_the_plain_port(
    start: Start, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    service = start(workers=2)
    username = service.add_user(SHORT)
    key = tmp_path / "key.pem"
    good = key.read_bytes()
    key.write_bytes(good[:100])
    for process_id in service.process_ids():
        os.kill(process_id, signal.SIGKILL)
    wait_until(lambda: len(service.logged("worker_started_again")) == 2, "they are started again")
    told = service.expect_logged("no TLS until the certificate is mended", 2)
    assert [str(each["reason"]).partition(":")[0] for each in told] == ["PEEP_TLS_KEY_FILE"] * 2
    with service.log_in(username) as client:
        assert client.ask_lines("RETR 1") == WIRE
    with service.connect() as client, pytest.raises(ssl.SSLError):
        client.start_tls(trusting)
    key.write_bytes(good)
    wait_until(lambda: len(service.logged("certificate changed")) == 2, "the mended key is taken up")
    with service.connect() as client:
        client.start_tls(trusting)
        assert client.ask("QUIT").startswith(b"+OK")
    assert len(service.logged("worker_ended")) == 2
