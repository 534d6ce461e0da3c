"""The POP3 service as a process: real sockets, real maildirs, a real Redis that may go away."""

import hashlib
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from state_store.errors import MailDirectoryRefused
from state_store.records import Counters
from support.pop3_process import PASSWORD, SECONDS, Pop3Process, Start, wait_until
from support.redis_server import RedisServer

SHORT = b"Subject: short\n\nHello\n"
"""24 octets with CRLF."""

FORMS = {
    "LF": (b"Subject: a\n\nb\n", [b"Subject: a\r\n", b"\r\n", b"b\r\n"]),
    "CRLF": (b"Subject: a\r\n\r\nb\r\n", [b"Subject: a\r\n", b"\r\n", b"b\r\n"]),
    "mixed": (b"Subject: a\r\n\nb\nc\r\n", [b"Subject: a\r\n", b"\r\n", b"b\r\n", b"c\r\n"]),
    "no last line end": (b"Subject: a\n\nb", [b"Subject: a\r\n", b"\r\n", b"b\r\n"]),
    "leading dots": (b".a\n\n.\n..\r\n.", [b"..a\r\n", b"\r\n", b"..\r\n", b"...\r\n", b"..\r\n"]),
    "8-bit and NUL": (b"a\x00\n\n\xe4\x00", [b"a\x00\r\n", b"\r\n", b"\xe4\x00\r\n"]),
    "empty": (b"", []),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Process]:
    """Give the one service of tests that look at nobody's sessions but their own."""
    with (
        RedisServer() as redis_server,
        Pop3Process(redis_server.url, tmp_path_factory.mktemp("pop3")) as process,
    ):
        yield process


@pytest.fixture
def start(redis_server: RedisServer, tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a service of the test's own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Pop3Process(redis_server.url, tmp_path, **settings))


def test_health_check_asks_every_worker_and_is_counted_nowhere(start: Start) -> None:
    service = start(workers=2)
    service.set_max_connections(1)
    with service.connect():
        service.expect_counters(Counters(current_connections=1, historical_connections=1))
        exit_code, line = service.check_health()
        assert (exit_code, line) == (0, "pop3-service: healthy: every POP3 process answers (2)\n")
        service.expect_counters(Counters(current_connections=1, historical_connections=1))
    assert service.terminate() == 0
    exit_code, line = service.check_health()
    assert exit_code == 1
    assert line.startswith("pop3-service: unhealthy: no POP3 process answers for port ")


# A session


def test_session_lists_fetches_marks_unmarks_and_quits(service: Pop3Process) -> None:
    username = service.add_user(SHORT, b"Subject: two\n\n1\n2\n3\n")
    with service.log_in(username) as client:
        assert client.ask("STAT") == b"+OK 2 50\r\n"
        assert client.ask_lines("LIST") == [b"1 25\r\n", b"2 25\r\n"]
        assert client.ask("LIST 2") == b"+OK 2 25\r\n"
        assert client.ask_lines("RETR 1") == [b"Subject: short\r\n", b"\r\n", b"Hello\r\n"]
        assert client.ask_lines("TOP 2 0") == [b"Subject: two\r\n", b"\r\n"]
        assert client.ask_lines("TOP 2 2") == [b"Subject: two\r\n", b"\r\n", b"1\r\n", b"2\r\n"]
        first, second = service.files(username)
        assert client.ask_lines("UIDL") == [f"1 {first}\r\n".encode(), f"2 {second}\r\n".encode()]
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.ask_lines("LIST") == [b"2 25\r\n"]
        assert client.ask("RETR 1").startswith(b"-ERR")
        assert client.ask("RSET").startswith(b"+OK")
        assert client.ask("STAT") == b"+OK 2 50\r\n"
        assert client.quit().startswith(b"+OK")
    assert service.files(username) == [first, second]


@pytest.mark.parametrize("form", FORMS)
def test_retr_sends_exactly_the_octets_that_list_announced(service: Pop3Process, form: str) -> None:
    content, wire = FORMS[form]
    with service.log_in(service.add_user(content)) as client:
        octets = sum(len(line) - line.startswith(b".") for line in wire)
        assert client.ask("LIST 1") == b"+OK 1 %d\r\n" % octets
        assert client.ask_lines("RETR 1") == wire


def test_message_of_30_mb_streams_exactly(service: Pop3Process) -> None:
    line = b".%07d " + b"x" * 62 + b"\n"
    content = b"".join(line % number for number in range(30_000_000 // 71))
    wire = content.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
    with service.log_in(service.add_user(content)) as client:
        assert client.ask("LIST 1") == b"+OK 1 %d\r\n" % (len(content) + content.count(b"\n"))
        client.send(b"RETR 1\r\nNOOP\r\nQUIT\r\n")
        assert client.line().startswith(b"+OK")
        rest = client.rest()
    expected = b"." + wire + b".\r\n"
    assert hashlib.sha256(rest[: len(expected)]).digest() == hashlib.sha256(expected).digest()
    assert rest[len(expected) :].count(b"+OK") == 2


def test_user_name_that_leads_elsewhere_is_refused(service: Pop3Process) -> None:
    service.deliver("x", SHORT, root=service.mail.parent)
    with service.connect(source="127.0.0.2") as client:
        for name in ("../x", "a/b", "..", ".x"):
            assert client.ask(f"USER {name}").startswith(b"-ERR")
        assert client.ask(f"PASS {PASSWORD}").startswith(b"-ERR")


# Deletion


def test_marked_message_is_removed_by_quit_and_only_then(service: Pop3Process) -> None:
    username = service.add_user(SHORT, SHORT)
    with service.log_in(username) as client:
        assert client.ask("DELE 1").startswith(b"+OK")
        before = service.files(username)
        assert len(before) == 2
        assert client.ask("QUIT").startswith(b"+OK")
        assert service.files(username) == before[1:]


@pytest.mark.parametrize("leave", ["drop", "reset", "half-close"])
def test_session_that_ends_without_quit_removes_nothing(service: Pop3Process, leave: str) -> None:
    username = service.add_user(SHORT, SHORT)
    client = service.log_in(username)
    assert client.ask("DELE 1").startswith(b"+OK")
    if leave == "reset":
        client.reset()
    elif leave == "half-close":
        assert client.exchange(b"") == b""
        client.close()
    else:
        client.close()
    service.expect_free(username)
    with service.log_in(username) as again:
        assert again.ask("STAT") == b"+OK 2 50\r\n"
    assert len(service.files(username)) == 2


def test_failing_unlink_gives_one_err_and_keeps_the_message(start: Start) -> None:
    service = start(ordinary_rights=True)
    username = service.add_user(SHORT)
    folder = service.mail / username / "new"
    with service.log_in(username) as client:
        assert client.ask("DELE 1").startswith(b"+OK")
        folder.chmod(0o555)
        try:
            client.send(b"QUIT\r\n")
            assert client.rest() == b"-ERR [SYS/TEMP] some deleted messages not removed\r\n"
        finally:
            folder.chmod(0o755)
    assert len(service.files(username)) == 1
    assert service.counters().removed_emails == 0
    with service.log_in(username) as client:
        assert client.ask("STAT") == b"+OK 1 25\r\n"


# The maildrop's lock


def test_refused_second_session_does_not_free_the_firsts_lock(service: Pop3Process) -> None:
    username = service.add_user(SHORT)
    with service.log_in(username) as first:
        for _ in range(2):
            with service.connect() as second:
                second.ask(f"USER {username}")
                assert second.ask(f"PASS {PASSWORD}").startswith(b"-ERR [IN-USE]")
                assert second.quit().startswith(b"+OK")
        assert first.ask_lines("LIST") == [b"1 25\r\n"]
        assert first.quit().startswith(b"+OK")
    with service.log_in(username) as third:
        assert third.ask("STAT") == b"+OK 1 25\r\n"


def test_lock_is_free_at_once_after_quit_with_two_workers(start: Start) -> None:
    service = start(workers=2)
    username = service.add_user(SHORT)
    octets = 0
    for _ in range(50):
        with service.log_in(username) as client:
            # Read to its reply and no further: the next login races with the end of this session.
            assert client.ask("QUIT").startswith(b"+OK")
        octets += client.octets_read
    service.expect_counters(Counters(octets, 0, 0, 0, 0, 50, 50))


# Counters


def test_counters_equal_what_the_client_read(start: Start) -> None:
    service = start()
    username = service.add_user(SHORT, FORMS["leading dots"][0], b"x" * 300_000)
    client = service.log_in(username)
    client.ask_lines("CAPA")
    for number in (1, 2, 3):
        client.ask_lines(f"RETR {number}")
    client.ask_lines("TOP 1 1")
    client.ask("nonsense")
    client.ask("DELE 2")
    during = Counters(
        retrieved_bytes=client.octets_read,
        retrieved_emails=3,
        current_connections=1,
        logged_in_users=1,
        historical_connections=1,
        historical_logins=1,
    )
    service.expect_counters(during)
    assert service.logged_in_users() == [username]
    client.quit()
    service.expect_counters(
        Counters(
            retrieved_bytes=client.octets_read,
            retrieved_emails=3,
            removed_emails=1,
            historical_connections=1,
            historical_logins=1,
        )
    )
    assert service.logged_in_users() == []


def test_reply_is_counted_within_100_ms(start: Start) -> None:
    service = start()
    delays: list[float] = []
    with service.log_in(service.add_user(SHORT)) as client:
        service.expect_counters(Counters(client.octets_read, 0, 0, 1, 1, 1, 1))

        def are_counted_soon() -> bool:
            client.ask_lines("RETR 1")
            read_at = time.monotonic()
            service.expect_counters(Counters(client.octets_read, len(delays) + 1, 0, 1, 1, 1, 1))
            delays.append(time.monotonic() - read_at)
            return len(delays) >= 7 and statistics.median(delays[-7:]) < 0.1

        # Most of seven in a row, at some time: another program may have the cores for a while.
        wait_until(are_counted_soon, "replies are counted within 100 ms")


# Settings


def test_idle_session_is_closed_without_a_word_and_removes_nothing(start: Start) -> None:
    service = start()
    username = service.add_user(SHORT)
    with service.log_in(username) as client, service.connect() as silent:
        began = time.monotonic()
        assert client.ask("DELE 1").startswith(b"+OK")
        # The sessions are open already, and were promised 600 s.
        service.set_timeout(1)
        assert client.rest() == b""
        assert silent.rest() == b""
        assert time.monotonic() - began > 0.9
    assert len(service.files(username)) == 1
    service.expect_counters(Counters(client.octets_read, 0, 0, 0, 0, 2, 1))


def test_connection_over_the_limit_is_told_so_and_counted_nowhere(start: Start) -> None:
    service = start()
    service.set_max_connections(3)
    with ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(service.connect())
            assert client.greeting.startswith(b"+OK")
        for _ in range(3):
            refused = stack.enter_context(service.connect())
            assert refused.greeting == b"-ERR [SYS/TEMP] too many connections (limit 3)\r\n"
            assert refused.rest() == b""
        service.expect_counters(Counters(0, 0, 0, 3, 0, 3, 0))
    service.expect_counters(Counters(0, 0, 0, 0, 0, 3, 0))
    with service.connect() as client:
        assert client.greeting.startswith(b"+OK")


def test_refusal_reaches_a_client_that_has_sent_commands_already(start: Start) -> None:
    service = start()
    service.set_max_connections(1)
    with service.connect() as admitted, socket.create_connection(service.address, timeout=SECONDS) as eager:
        assert admitted.greeting.startswith(b"+OK")
        eager.sendall(b"USER alice\r\nPASS secret\r\nSTAT\r\n" * 50)
        eager.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: eager.recv(65536), b""))
    assert answer == b"-ERR [SYS/TEMP] too many connections (limit 1)\r\n"


def test_limit_holds_over_two_workers(start: Start) -> None:
    service = start(workers=2)
    service.set_max_connections(5)
    with ExitStack() as stack:
        greetings = [stack.enter_context(service.connect()).greeting for _ in range(12)]
        assert sum(greeting.startswith(b"+OK") for greeting in greetings) == 5
        assert sum(b"(limit 5)" in greeting for greeting in greetings) == 7
        service.expect_counters(Counters(0, 0, 0, 5, 0, 5, 0))


def test_mail_directory_takes_effect_for_the_next_session_only(start: Start, tmp_path: Path) -> None:
    service = start()
    username = service.add_user(SHORT)
    service.deliver(username, SHORT, SHORT, root=tmp_path / "other")
    with service.log_in(username) as client:
        service.set_mail_directory(tmp_path / "other")
        assert client.ask("STAT") == b"+OK 1 25\r\n"
        assert client.ask_lines("RETR 1")[0] == b"Subject: short\r\n"
        client.quit()
    with service.log_in(username) as client:
        assert client.ask("STAT") == b"+OK 2 50\r\n"


def test_missing_mail_directory_is_refused_and_the_old_one_stays(start: Start, tmp_path: Path) -> None:
    service = start()
    username = service.add_user(SHORT)
    with pytest.raises(MailDirectoryRefused):
        service.set_mail_directory(tmp_path / "nowhere")
    with service.log_in(username) as client:
        assert client.ask("STAT") == b"+OK 1 25\r\n"


def test_removed_user_stays_until_quit_and_cannot_come_back(start: Start) -> None:
    service = start()
    username = service.add_user(SHORT, SHORT)
    with service.log_in(username) as client:
        service.remove_user(username)
        assert client.ask_lines("RETR 1")[0] == b"Subject: short\r\n"
        assert service.logged_in_users() == [username]
        client.ask("DELE 1")
        assert client.quit().startswith(b"+OK")
    assert len(service.files(username)) == 1
    with service.connect() as client:
        client.ask(f"USER {username}")
        assert client.ask(f"PASS {PASSWORD}") == b"-ERR [AUTH] wrong user name or password\r\n"


# Octets as they come


def test_a_thousand_pipelined_commands_in_one_packet_are_all_answered(service: Pop3Process) -> None:
    with service.log_in(service.add_user(SHORT)) as client:
        replies = client.exchange(b"NOOP\r\n" * 1000 + b"STAT\r\nQUIT\r\n").splitlines()
    assert len(replies) == 1002
    assert all(reply.startswith(b"+OK") for reply in replies)
    assert replies[1000] == b"+OK 1 25"


def test_whole_session_in_one_packet_is_answered_in_order(service: Pop3Process) -> None:
    username = service.add_user(SHORT, SHORT)
    commands = f"USER {username}\r\nPASS {PASSWORD}\r\nRETR 2\r\nDELE 2\r\nQUIT\r\n"
    with service.connect() as client:
        replies = client.exchange(commands.encode()).splitlines()
    assert [reply[:3] for reply in replies[:3]] == [b"+OK"] * 3
    assert replies[3:7] == [b"Subject: short", b"", b"Hello", b"."]
    assert [reply[:3] for reply in replies[7:]] == [b"+OK"] * 2
    assert len(service.files(username)) == 1


def test_commands_cut_into_single_octets_are_understood(service: Pop3Process) -> None:
    username = service.add_user(SHORT)
    with service.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in f"USER {username}\r\nPASS {PASSWORD}\r\nLIST 1\r\nQUIT\r\n".encode():
            client.send(bytes([octet]))
        replies = client.rest().splitlines()
    assert [reply[:3] for reply in replies] == [b"+OK"] * 4
    assert replies[2] == b"+OK 1 25"


def test_client_that_half_closes_gets_every_answer(service: Pop3Process) -> None:
    content = b"x" * 70 + b"\n"
    with service.log_in(service.add_user(content * 20_000)) as client:
        replies = client.exchange(b"RETR 1\r\n" * 3 + b"STAT\r\n")
    assert replies.endswith(b"\r\n.\r\n+OK 1 1440000\r\n")
    assert replies.count(b"x" * 70 + b"\r\n") == 60_000


@pytest.mark.parametrize(
    "line",
    [b"NOOP " + b"x" * 300, b"STAT\0junk", b"\0", b"NOOP \xff", b"", b"RETR +1", b"LIST 4294967297", b"\r"],
)
def test_bad_line_gets_one_err_and_the_session_goes_on(service: Pop3Process, line: bytes) -> None:
    with service.log_in(service.add_user(SHORT)) as client:
        client.send(line + b"\r\nSTAT\r\n")
        assert client.line().startswith(b"-ERR")
        assert client.line() == b"+OK 1 25\r\n"


def test_64_kib_without_a_line_end_close_the_connection_with_one_err(service: Pop3Process) -> None:
    with service.log_in(service.add_user(SHORT)) as client:
        client.send(b"x" * (64 * 1024 + 10))
        replies = client.rest()
    assert replies.startswith(b"-ERR")
    assert replies.count(b"\r\n") == 1


def test_client_that_never_reads_costs_little_memory_and_hinders_nobody(start: Start) -> None:
    service = start()
    content = (b"y" * 70 + b"\n") * (20_000_000 // 71)
    deaf, other = service.add_user(content), service.add_user(SHORT)
    with service.connect(window=8192) as client:
        client.log_in(deaf)
        before = service.resident_octets()
        client.send(b"RETR 1\r\n" * 50)
        with service.log_in(other) as second:
            for _ in range(20):
                assert second.ask_lines("RETR 1")[0] == b"Subject: short\r\n"
        assert service.resident_octets() - before < 8_000_000
        wait_until(lambda: service.counters().retrieved_emails == 20, "twenty were retrieved, and no more")
        # Whoever begins to read again gets all of it.
        assert client.line().startswith(b"+OK")
        assert client.line() == b"y" * 70 + b"\r\n"
    service.expect_free(deaf)
    with service.log_in(deaf) as again:
        assert again.ask("STAT").startswith(b"+OK 1 ")


# The end of the service


def test_sigterm_drains_and_ends_with_nothing_left_behind(start: Start) -> None:
    service = start(PEEP_DRAIN_SECONDS="2")
    username = service.add_user(SHORT)
    with service.log_in(username) as idle, service.log_in(service.add_user(SHORT)) as busy:
        idle.ask("DELE 1")
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert busy.ask("STAT") == b"+OK 1 25\r\n"
        busy.ask("DELE 1")
        assert busy.quit().startswith(b"+OK")
        assert idle.line() == b"-ERR [SYS/TEMP] the server is going down, try again later\r\n"
        assert idle.rest() == b""
        assert time.monotonic() - began >= 1.95  # timers count in milliseconds
    assert service.process.wait(SECONDS) == 0
    assert len(service.files(username)) == 1
    counters = service.counters()
    last_words = len(b"-ERR [SYS/TEMP] the server is going down, try again later\r\n")
    assert counters == Counters(idle.octets_read - last_words + busy.octets_read, 0, 1, 0, 0, 2, 2)


def test_sigterm_ends_two_workers_and_their_sessions(start: Start) -> None:
    service = start(workers=2)
    with service.log_in(service.add_user(SHORT)) as client:
        assert service.terminate() == 0
        assert client.line().startswith(b"-ERR [SYS/TEMP]")
    assert service.counters().current_connections == 0


# Without Redis


def test_open_session_goes_on_while_redis_is_away_and_all_counts_come_after_it(
    start: Start, redis_server: RedisServer
) -> None:
    service = start()
    username = service.add_user(SHORT, SHORT)
    with service.log_in(username) as client:
        redis_server.kill()
        assert client.ask_lines("RETR 1")[0] == b"Subject: short\r\n"
        greeted, octets = _greeted_before_refusal(service)
        assert client.ask_lines("RETR 2")[0] == b"Subject: short\r\n"
        client.ask("DELE 1")
        assert client.quit().startswith(b"+OK")
        assert len(service.files(username)) == 1
        octets += client.octets_read
    redis_server.start()
    wait_until(lambda: service.counters().removed_emails == 1, "the counts have come")
    service.expect_counters(Counters(octets, 2, 1, 0, 0, 1 + greeted, 1))
    with service.log_in(username) as client:
        assert client.ask("STAT") == b"+OK 1 25\r\n"


def _greeted_before_refusal(service: Pop3Process) -> tuple[int, int]:
    """Return how many were let in until the outage showed, from slots that the process held.

    And how many octets they were answered with: each says something, or it would be a mere probe.
    """
    greeted = octets = 0
    deadline = time.monotonic() + SECONDS
    while True:
        with service.connect() as stranger:
            if not stranger.greeting.startswith(b"+OK"):
                assert stranger.greeting.startswith(b"-ERR [SYS/TEMP]")
                assert stranger.rest() == b""
                return greeted, octets
            assert stranger.ask("QUIT").startswith(b"+OK")
            octets += stranger.octets_read
        greeted += 1
        assert time.monotonic() < deadline, "the outage does not show"


def test_session_that_outlives_an_outage_ends_as_any_other(start: Start, redis_server: RedisServer) -> None:
    service = start()
    username = service.add_user(SHORT)
    with service.log_in(username) as client:
        redis_server.kill()
        client.ask_lines("RETR 1")
        redis_server.start()
        service.expect_counters(Counters(client.octets_read, 1, 0, 1, 1, 1, 1))

        def is_in_use() -> bool:
            with service.connect() as second:
                second.ask(f"USER {username}")
                reply = second.ask(f"PASS {PASSWORD}")
            assert not reply.startswith(b"+OK")
            return reply.startswith(b"-ERR [IN-USE]")

        # A busy machine may be too late for Redis a second time: then nobody is let in for a moment.
        wait_until(is_in_use, "a maildrop in use")
        client.ask("DELE 1")
        assert client.quit().startswith(b"+OK")
    assert service.files(username) == []
