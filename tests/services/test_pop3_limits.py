"""Limits that operators set: connections of one address, the time between two logins, wrong passwords."""

import base64
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import redis
from scramp import ScramClient  # type: ignore[import-untyped]

from state_store.credentials import attempts
from state_store.records import Counters
from support.allowances import leave_nothing
from support.pop3_process import PASSWORD, SECONDS, Pop3Client, Pop3Process, Start, wait_until

SHORT = b"Subject: short\n\nHello\n"
TOO_MANY = b"-ERR [SYS/TEMP] too many connections from your address (limit 3)\r\n"
TOO_SOON = b"-ERR [LOGIN-DELAY] the last login was too short a time ago\r\n"
SLOWED_DOWN = b"-ERR [SYS/TEMP] too many wrong passwords from your network, try again later"
WRONG = b"-ERR [AUTH] wrong user name or password\r\n"


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

            wait_until(comes_in, "the place is given to the next")
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
            connected.settimeout(SECONDS)
            connected.bind(("127.0.0.2", 0))
            connected.connect(service.address)
            burst.append(connected)
        first_lines = [connected.recv(512) for connected in burst]
    assert sum(line.startswith(b"+OK") for line in first_lines) == 3
    assert sum(line == TOO_MANY for line in first_lines) == 37


# LOGIN-DELAY


def test_a_user_has_to_wait_between_two_logins_and_is_told_so(start: Start) -> None:
    service = start(PEEP_LOGIN_DELAY="3600")
    username, other = service.add_user(SHORT), service.add_user(SHORT)
    with service.connect() as client:
        assert b"LOGIN-DELAY 3600\r\n" in client.ask_lines("CAPA")
        client.log_in(username)
        assert b"LOGIN-DELAY 3600\r\n" in client.ask_lines("CAPA")
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


def test_a_user_logs_in_again_once_the_delay_is_over(start: Start) -> None:
    service = start(PEEP_LOGIN_DELAY="1")
    username = service.add_user(SHORT)
    before = time.monotonic()
    with service.connect() as client:
        client.log_in(username).quit()

    def logs_in() -> bool:
        with service.connect() as again:
            assert again.ask(f"USER {username}").startswith(b"+OK")
            reply = again.ask(f"PASS {PASSWORD}")
            assert reply.startswith(b"+OK") or reply == TOO_SOON
            return reply.startswith(b"+OK")

    wait_until(logs_in, "the delay is over")
    assert time.monotonic() - before >= 0.9


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


Guess = Callable[[Pop3Client, str, str], bytes]


def wrong_pass(client: Pop3Client, username: str, password: str) -> bytes:
    assert client.ask(f"USER {username}").startswith(b"+OK")
    return client.ask(f"PASS {password}")


def wrong_plain(client: Pop3Client, username: str, password: str) -> bytes:
    return client.ask("AUTH PLAIN " + base64.b64encode(f"\0{username}\0{password}".encode()).decode())


def wrong_scram(client: Pop3Client, username: str, password: str) -> bytes:
    dialogue = ScramClient(["SCRAM-SHA-256"], username, password)
    first = base64.b64encode(dialogue.get_client_first().encode()).decode()
    answer = client.ask(f"AUTH SCRAM-SHA-256 {first}")
    dialogue.set_server_first(base64.b64decode(answer[2:]).decode())
    return client.ask(base64.b64encode(dialogue.get_client_final().encode()).decode())


WAYS: tuple[Guess, ...] = (wrong_pass, wrong_plain, wrong_scram)


def guess_in_vain(service: Pop3Process, username: str, guesses: int) -> None:
    """Send wrong passwords in all ways, each in a session of its own: the network counts."""
    for number in range(guesses):
        with service.connect() as client:
            assert WAYS[number % 3](client, username, f"wrong{number}") == WRONG


def test_twenty_wrong_passwords_are_answered_at_once_in_whatever_way_they_come_and_the_next_waits(
    start: Start,
) -> None:
    service = start()
    username = service.add_user(SHORT)
    began = time.monotonic()
    guess_in_vain(service, username, attempts.BURST)
    before = time.monotonic()
    with service.connect() as client:
        assert wrong_plain(client, username, "another") == WRONG
    # What came back of the allowance meanwhile is not waited for.
    assert time.monotonic() - before >= attempts.INTERVAL_SECONDS - (before - began) - 0.1
    with service.connect(source="127.0.0.2") as neighbour:
        neighbour.log_in(username)


def test_same_wrong_password_again_is_answered_at_once_and_the_tenth_ends_the_session(start: Start) -> None:
    service = start()
    username = service.add_user(SHORT)
    for _ in range(3):
        with service.connect() as client:
            for _ in range(10):
                assert wrong_pass(client, username, "stale") == WRONG
            assert client.rest() == b""
    with service.connect() as client:
        client.log_in(username)


def test_who_has_to_wait_for_too_long_is_told_to_come_again_and_not_that_the_password_is_wrong(
    start: Start, behind_the_scenes: redis.Redis
) -> None:
    service = start()
    username = service.add_user(SHORT)
    leave_nothing(behind_the_scenes)
    with service.connect() as client:
        client.send(f"USER {username}\r\nPASS {PASSWORD}\r\n".encode())
        client.socket.shutdown(socket.SHUT_WR)  # it waits for nothing
        assert client.rest().splitlines()[-1] == SLOWED_DOWN


def test_trusted_network_is_never_slowed(start: Start, behind_the_scenes: redis.Redis) -> None:
    service = start(PEEP_TRUSTED_NETWORKS="192.0.2.0/24,127.0.0.1")
    leave_nothing(behind_the_scenes)
    with service.connect() as client:
        client.send(b"USER somebody\r\nPASS wrong\r\n")
        client.socket.shutdown(socket.SHUT_WR)  # it waits for nothing
        assert client.rest().endswith(WRONG)


def test_colleagues_log_in_as_if_nothing_were_while_their_network_guesses(
    start: Start, behind_the_scenes: redis.Redis
) -> None:
    service = start()
    known, stranger = service.add_user(SHORT), service.add_user(SHORT)
    service.log_in(known).quit()
    leave_nothing(behind_the_scenes)
    with ExitStack() as stack:
        for number in range(30):
            client = stack.enter_context(service.connect())
            client.send(f"USER {stranger}\r\nPASS another{number}\r\n".encode())
        took = []
        for _ in range(9):
            before = time.monotonic()
            service.log_in(known).quit()
            took.append(time.monotonic() - before)
    # On a quiet machine some 3 ms; who had to wait would be the 31st for an answer.
    assert sorted(took)[4] < attempts.INTERVAL_SECONDS


def test_hundred_and_twenty_guesses_from_forty_addresses_of_a_network_have_one_allowance(
    start: Start,
) -> None:
    proxies = {"PEEP_PROXY_PROTOCOL": "1", "PEEP_PROXY_TRUSTED": "127.0.0.1"}
    service = start(**proxies)
    service.add_user(SHORT, name="somebody")
    answers = []
    began = time.monotonic()
    for number in range(120):
        address = f"2001:db8:0:7:{number % 40:x}::{number:x}"
        header = f"PROXY TCP6 {address} 2001:db8::1 40000 110\r\n".encode()
        with Pop3Client(service.address, header=header) as client:
            client.send(f"USER somebody{number}\r\nPASS wrong{number}\r\n".encode())
            client.socket.shutdown(socket.SHUT_WR)
            answers.append(client.rest().splitlines()[-1])
    came_back = (time.monotonic() - began) / attempts.INTERVAL_SECONDS
    assert answers.count(WRONG.strip()) <= attempts.BURST + came_back + 1
    assert answers[: attempts.BURST] == [WRONG.strip()] * attempts.BURST
    assert set(answers[attempts.BURST :]) <= {WRONG.strip(), SLOWED_DOWN}


def test_thirty_who_send_a_wrong_password_and_hang_up_leave_nothing_behind(start: Start) -> None:
    service = start()
    username = service.add_user(SHORT)
    for number in range(30):
        with service.connect() as client:
            client.send(f"USER {username}\r\nPASS wrong{number}\r\n".encode())
    before = time.monotonic()
    service.log_in(username).quit()  # from a network that does not know the user
    # The first after all that came back meanwhile, and not the eleventh.
    assert time.monotonic() - before < 5 * attempts.INTERVAL_SECONDS


def test_every_refused_password_is_one_line_of_the_log_a_count_and_an_event(start: Start) -> None:
    service = start()
    username = service.add_user(SHORT)
    guesses: list[tuple[Guess, str]] = [
        (wrong_pass, username),
        (wrong_plain, "nobody"),
        (wrong_pass, username),
        (wrong_scram, username),
        (wrong_plain, "../nobody"),
    ]
    with service.connect() as client:
        for guess, name in guesses:
            assert guess(client, name, "hunter2") == WRONG
    refused = service.expect_logged("login refused", len(guesses))
    assert [(line["address"], line["user"], line["reason"]) for line in refused] == [
        ("127.0.0.1", username, "wrong password"),
        ("127.0.0.1", "nobody", "unknown user"),
        ("127.0.0.1", username, "wrong password again"),
        ("127.0.0.1", username, "wrong password"),
        ("127.0.0.1", "../nobody", "unknown user"),
    ]
    wanted = {"wrong password": 2, "unknown user": 2, "wrong password again": 1}
    wait_until(lambda: service.refused_logins() == wanted, "they are counted")


def test_connections_of_ipv6_are_counted_by_64(start: Start) -> None:
    proxies = {"PEEP_PROXY_PROTOCOL": "1", "PEEP_PROXY_TRUSTED": "127.0.0.1"}
    service = start(PEEP_MAX_CONNECTIONS_PER_ADDRESS="3", **proxies)
    with ExitStack() as stack:

        def connect(address: str) -> Pop3Client:
            header = f"PROXY TCP6 {address} 2001:db8::1 40000 110\r\n".encode()
            return stack.enter_context(Pop3Client(service.address, header=header))

        for number in range(3):
            assert admitted(connect(f"2001:db8:0:7::{number}"))
        assert connect("2001:db8:0:7:ffff::1").greeting == TOO_MANY
        assert admitted(connect("2001:db8:0:8::1"))
