"""Limits that operators set: connections of one address, the time between two logins, wrong passwords."""

import base64
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from scramp import ScramClient  # type: ignore[import-untyped]

from state_store import keys
from state_store.records import Counters
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, wait_until

Start = Callable[..., Pop3Process]

SHORT = b"Subject: short\n\nHello\n"
TOO_MANY = b"-ERR [SYS/TEMP] too many connections from your address (limit 3)\r\n"
TOO_SOON = b"-ERR [LOGIN-DELAY] the last login was too short a time ago\r\n"
WRONG = b"-ERR [AUTH] wrong user name or password\r\n"


@pytest.fixture
def start(redis_url: str, tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a service of the test's own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Pop3Process(redis_url, tmp_path, **settings))


def admitted(client: Pop3Client) -> bool:
    return client.greeting.startswith(b"+OK")


# Connections of one address


@pytest.mark.parametrize("workers", [1, 2])
def test_an_address_has_so_many_connections_and_others_do_not_notice(start: Start, workers: int) -> None:
    service = start(workers=workers, PEEP_MAX_CONNECTIONS_PER_ADDRESS="3")
    with ExitStack() as stack:
        for _ in range(3):
            assert admitted(stack.enter_context(service.connect(source="127.0.0.2")))
        for _ in range(4):  # with two workers, surely each of them is asked
            with service.connect(source="127.0.0.2") as refused:
                assert refused.greeting == TOO_MANY
                assert refused.rest() == b""
        for _ in range(3):
            assert admitted(stack.enter_context(service.connect(source="127.0.0.3")))
        service.expect_counters(Counters(current_connections=6, historical_connections=6))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_place_comes_free_however_a_connection_ends(start: Start, workers: int) -> None:
    service = start(workers=workers, PEEP_MAX_CONNECTIONS_PER_ADDRESS="3")
    with ExitStack() as stack:

        def connect() -> Pop3Client:
            return stack.enter_context(service.connect(source="127.0.0.2"))

        clients = [connect() for _ in range(3)]
        assert all(map(admitted, clients))
        for leave in (Pop3Client.quit, Pop3Client.close, Pop3Client.reset):
            leave(clients.pop(0))

            def comes_in() -> bool:
                clients.append(connect())
                return admitted(clients[-1])

            wait_until(comes_in, "the place is given to the next", 5)
            assert connect().greeting == TOO_MANY


def test_places_of_a_service_that_was_stopped_come_free(start: Start) -> None:
    service = start(PEEP_MAX_CONNECTIONS_PER_ADDRESS="3")
    with ExitStack() as stack:
        assert all(admitted(stack.enter_context(service.connect())) for _ in range(3))
        assert service.terminate() == 0
    successor = start(PEEP_MAX_CONNECTIONS_PER_ADDRESS="3")
    with ExitStack() as stack:
        assert all(admitted(stack.enter_context(successor.connect())) for _ in range(3))


def test_behind_a_proxy_it_is_the_clients_address_that_is_limited(start: Start) -> None:
    service = start(
        PEEP_MAX_CONNECTIONS_PER_ADDRESS="3", PEEP_PROXY_PROTOCOL="1", PEEP_PROXY_TRUSTED="127.0.0.1"
    )

    def connect(address: str) -> Pop3Client:
        return Pop3Client(service.address, header=f"PROXY TCP4 {address} 192.0.2.1 4000 110\r\n".encode())

    with ExitStack() as stack:
        assert all(admitted(stack.enter_context(connect("198.51.100.7"))) for _ in range(3))
        assert stack.enter_context(connect("198.51.100.7")).greeting == TOO_MANY
        assert all(admitted(stack.enter_context(connect("198.51.100.8"))) for _ in range(3))
        # A mapped address is the same client's.
        mapped = b"PROXY TCP6 ::ffff:198.51.100.7 2001:db8::1 4000 110\r\n"
        assert stack.enter_context(Pop3Client(service.address, header=mapped)).greeting == TOO_MANY


def test_a_burst_from_one_address_never_gets_more_than_its_places(start: Start) -> None:
    service = start(workers=2, PEEP_MAX_CONNECTIONS_PER_ADDRESS="3")
    with ExitStack() as stack:
        burst = []
        for _ in range(40):
            connected = stack.enter_context(socket.socket())
            connected.settimeout(10)
            connected.bind(("127.0.0.2", 0))
            connected.connect(service.address)
            burst.append(connected)
        first_lines = [connected.recv(512) for connected in burst]
    assert sum(line.startswith(b"+OK") for line in first_lines) == 3
    assert sum(line == TOO_MANY for line in first_lines) == 37


# LOGIN-DELAY


def test_a_user_has_to_wait_between_two_logins_and_is_told_so(start: Start) -> None:
    service = start(PEEP_LOGIN_DELAY="2")
    username, other = service.add_user(SHORT), service.add_user(SHORT)
    with service.connect() as client:
        assert b"LOGIN-DELAY 2\r\n" in client.ask_lines("CAPA")
        before = time.monotonic()
        client.log_in(username)
        assert b"LOGIN-DELAY 2\r\n" in client.ask_lines("CAPA")
        assert client.quit().startswith(b"+OK")
    with service.connect() as client:
        assert client.ask(f"USER {username}").startswith(b"+OK")
        assert client.ask(f"PASS {PASSWORD}") == TOO_SOON
        # Somebody who does not know the password learns nothing of when its user was here.
        assert client.ask(f"USER {username}").startswith(b"+OK")
        assert client.ask("PASS wrong") == WRONG
        plain = base64.b64encode(f"\0{username}\0{PASSWORD}".encode()).decode()
        assert client.ask(f"AUTH PLAIN {plain}") == TOO_SOON
        client.log_in(other)

    def logs_in() -> bool:
        with service.connect() as again:
            assert again.ask(f"USER {username}").startswith(b"+OK")
            reply = again.ask(f"PASS {PASSWORD}")
            assert reply.startswith(b"+OK") or reply == TOO_SOON
            return reply.startswith(b"+OK")

    wait_until(logs_in, "the delay is over", 6)
    assert time.monotonic() - before >= 1.9


def test_the_delay_holds_over_all_workers(start: Start) -> None:
    service = start(workers=2, PEEP_LOGIN_DELAY="60")
    username = service.add_user(SHORT)
    with service.connect() as client:
        client.log_in(username).quit()
    for _ in range(6):
        with service.connect() as client:
            assert client.ask(f"USER {username}").startswith(b"+OK")
            assert client.ask(f"PASS {PASSWORD}") == TOO_SOON


def test_without_a_delay_capa_does_not_mention_one(start: Start) -> None:
    service = start()
    username = service.add_user(SHORT)
    for _ in range(3):
        with service.connect() as client:
            assert not any(line.startswith(b"LOGIN-DELAY") for line in client.ask_lines("CAPA"))
            client.log_in(username).quit()


# Wrong passwords (P18)


def wrong_pass(client: Pop3Client, username: str) -> bytes:
    assert client.ask(f"USER {username}").startswith(b"+OK")
    return client.ask("PASS wrong")


def wrong_plain(client: Pop3Client, username: str) -> bytes:
    return client.ask("AUTH PLAIN " + base64.b64encode(f"\0{username}\0wrong".encode()).decode())


def wrong_scram(client: Pop3Client, username: str) -> bytes:
    dialogue = ScramClient(["SCRAM-SHA-256"], username, "wrong")
    first = base64.b64encode(dialogue.get_client_first().encode()).decode()
    answer = client.ask(f"AUTH SCRAM-SHA-256 {first}")
    dialogue.set_server_first(base64.b64decode(answer[2:]).decode())
    return client.ask(base64.b64encode(dialogue.get_client_final().encode()).decode())


@pytest.mark.parametrize("guess", [wrong_pass, wrong_plain, wrong_scram])
def test_three_wrong_passwords_are_answered_at_once_and_the_fourth_later(
    start: Start, guess: Callable[[Pop3Client, str], bytes]
) -> None:
    service = start()
    username = service.add_user(SHORT)
    waits = []
    for _ in range(5):
        with service.connect() as client:  # the address counts, not the session
            before = time.monotonic()
            assert guess(client, username) == WRONG
            waits.append(time.monotonic() - before)
    assert max(waits[:3]) < 0.25
    assert waits[3] >= 0.25
    assert waits[4] >= 0.5
    with service.connect(source="127.0.0.2") as neighbour:
        before = time.monotonic()
        neighbour.log_in(username)
        assert time.monotonic() - before < 0.25


def test_guesses_by_pass_and_by_auth_are_counted_together(start: Start) -> None:
    service = start()
    username = service.add_user(SHORT)
    with service.connect() as client:
        for guess in (wrong_pass, wrong_plain, wrong_scram):
            assert guess(client, username) == WRONG
        before = time.monotonic()
        assert wrong_plain(client, username) == WRONG
        assert time.monotonic() - before >= 0.25


def test_the_tenth_wrong_password_ends_the_session_by_whatever_way_they_came(
    start: Start, redis_url: str
) -> None:
    service = start()
    username = service.add_user(SHORT)
    guesses = [wrong_pass, wrong_plain, wrong_scram] * 3 + [wrong_plain]
    with redis.Redis.from_url(redis_url) as store, service.connect() as client:
        for guess in guesses:
            assert guess(client, username) == WRONG
            store.delete(keys.WRONG + "127.0.0.1")  # else this would take twenty seconds
        assert client.rest() == b""
    with service.connect() as client:
        client.log_in(username)
