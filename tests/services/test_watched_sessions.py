"""What operators see of the sessions of a real POP3 service, and how one is closed."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from state_store.activities import ActivityKind
from state_store.errors import UnknownSession
from state_store.records import Counters, SessionRow
from support.actors import OPERATOR
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, Start, wait_until

MESSAGE = b"Subject: one\n\nbody\n"
QUICK = {
    "state_store.instance.exchanges.RENEWAL_SECONDS": 0.2,
    "state_store.instance.exchanges.LOAD_SECONDS": 0.1,
    "state_store.instance.outbox.LATENCIES_SECONDS": 0.1,
}
"""What a service tells of itself by and by comes soon."""

BUSY = 0.1
"""More seconds of processor time in a second than an idle service takes."""


def sessions(service: Pop3Process) -> list[SessionRow]:
    return service._runner.run(service.repository.sessions())


def close(service: Pop3Process, session_id: str) -> None:
    service._runner.run(service.repository.close_session(session_id, by=OPERATOR))


def test_session_shows_who_has_fetched_and_marked_what(start: Start) -> None:
    service = start()
    username = service.add_user(MESSAGE, MESSAGE, MESSAGE)
    with service.log_in(username) as client:
        for number in (1, 2):
            assert client.ask_lines(f"RETR {number}")
        assert client.ask("DELE 2").startswith(b"+OK")

        def is_shown() -> bool:
            shown = [(row.username, row.octets, row.retrieved, row.marked) for row in sessions(service)]
            return shown == [(username, client.octets_read, 2, 1)]

        wait_until(is_shown, "the session as it is")
        (row,) = sessions(service)
        assert (row.address, row.tls) == ("127.0.0.1", "")
        assert client.ask("RSET").startswith(b"+OK")
        wait_until(lambda: sessions(service)[0].marked == 0, "no message marked")


def test_session_is_closed_with_a_reason_and_removes_nothing(start: Start) -> None:
    service = start()
    username = service.add_user(MESSAGE)
    with service.log_in(username) as client, service.connect() as other:
        assert client.ask("DELE 1").startswith(b"+OK")
        wait_until(lambda: len(sessions(service)) == 2, "both sessions shown")
        (session_id,) = [row.session_id for row in sessions(service) if row.username]
        assert session_id.encode() in client.greeting
        close(service, session_id)
        assert client.rest() == b"-ERR [SYS/TEMP] an administrator has closed this session\r\n"
        assert [row.username for row in sessions(service)] == [None]
        assert other.ask("CAPA").startswith(b"+OK")
        with pytest.raises(UnknownSession):
            close(service, session_id)
    assert len(service.files(username)) == 1
    with service.log_in(username) as again:  # the maildrop is free at once
        assert again.ask("STAT").startswith(b"+OK 1 ")


def test_session_of_another_worker_is_closed_as_well(start: Start) -> None:
    service = start(workers=2)
    username = service.add_user()
    with ExitStack() as stack:
        ids: dict[str, Pop3Client] = {}

        def are_at_both() -> bool:
            client = stack.enter_context(service.connect())
            found = re.search(r"[0-9a-f]{8}-[0-9a-f]+", client.greeting.decode())
            assert found is not None
            ids[found[0]] = client
            return len({session_id.partition("-")[0] for session_id in ids}) == 2

        wait_until(are_at_both, "sessions at both workers")
        wait_until(lambda: len(sessions(service)) == len(ids), "all sessions shown")
        for session_id, client in ids.items():
            close(service, session_id)
            assert client.rest().startswith(b"-ERR [SYS/TEMP] an administrator")
        assert sessions(service) == []
        instances = service._runner.run(service.repository.instances())
        assert sorted(status.instance.worker for status in instances) == [1, 2]
    with service.log_in(username):
        pass


def test_closing_is_not_counted_as_a_reply(start: Start) -> None:
    service = start()
    username = service.add_user()
    with service.log_in(username) as client:
        wait_until(lambda: bool(sessions(service)), "the session shown")
        octets = client.octets_read
        close(service, sessions(service)[0].session_id)
        assert client.rest()
    service.expect_counters(Counters(octets, 0, 0, 0, 0, 1, 1))


def test_logins_and_logouts_are_remembered_even_of_the_shortest_sessions(start: Start) -> None:
    service = start()
    username = service.add_user()
    service.log_in(username).quit()

    def kinds() -> list[ActivityKind]:
        found, _ = service._runner.run(service.repository.activity_after("0-0"))
        assert all(one.details["username"] == username for one in found)
        return [one.kind for one in found]

    wait_until(lambda: kinds() == [ActivityKind.LOGIN, ActivityKind.LOGOUT], "login and logout")


def test_every_command_and_every_login_is_timed(start: Start) -> None:
    service = start(periods=QUICK)
    username = service.add_user(MESSAGE)
    with service.log_in(username) as client:
        assert client.ask_lines("RETR 1")
        assert client.quit().startswith(b"+OK")
    with service.connect() as client:
        assert client.ask(f"USER {username}").startswith(b"+OK")
        assert client.ask(f"PASS not-{PASSWORD}").startswith(b"-ERR [AUTH]")

    def counts() -> tuple[int, int]:
        seen = service._runner.run(service.repository.latencies())
        return sum(seen.command.counts), sum(seen.login.counts)

    wait_until(lambda: counts() == (6, 2), f"(6, 2), but {counts()}")
    seen = service._runner.run(service.repository.latencies())
    assert seen.login.seconds < seen.command.seconds < 10
    # What was counted last is told when the process ends.
    with service.connect() as client:
        assert client.ask("NOOP").startswith(b"-ERR")
    assert service.terminate() == 0
    assert counts() == (7, 2)


@contextmanager
def unceasing_commands(client: Pop3Client) -> Iterator[None]:
    """Keep the service busy in a thread of its own: however fast it answers, it has the next ones already."""
    is_over = threading.Event()

    def ask() -> None:
        client.send(b"STAT\r\n" * 500)
        while not is_over.is_set():
            client.send(b"STAT\r\n" * 500)
            assert all(client.line().startswith(b"+OK") for _ in range(500))

    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(ask)
        try:
            yield
        finally:
            is_over.set()
        asking.result()


def test_load_of_an_instance_is_shown_while_it_is_busy_and_while_it_is_not(start: Start) -> None:
    service = start(periods=QUICK)
    username = service.add_user(MESSAGE)

    def load() -> float:
        (status,) = service._runner.run(service.repository.instances())
        return status.load

    with service.log_in(username) as client:
        with unceasing_commands(client):
            wait_until(lambda: load() > BUSY, "a load that is seen")
            assert load() < 1.5
        wait_until(lambda: load() < BUSY, "the load is over")


def test_session_shows_since_when_it_is_idle_and_how_far_its_message_is(start: Start) -> None:
    service = start()
    large = b"Subject: large\n\n" + b"x" * 70 * 1000 + b"\n"
    username = service.add_user(MESSAGE, large * 300)
    with service.log_in(username) as client:
        assert client.ask("STAT").startswith(b"+OK")
        wait_until(lambda: [row.username for row in sessions(service)] == [username], "the login shown")
        idle_since = sessions(service)[0].active_at
        client.send(b"RETR 2\r\n")  # and do not read

        def is_under_way() -> bool:
            (row,) = sessions(service)
            return 0 < row.message_sent < row.message_octets and row.active_at > idle_since

        wait_until(is_under_way, "how far the message is")
        assert sessions(service)[0].message_octets > 70 * 1000 * 300
        while client.line() != b".\r\n":
            pass
        wait_until(lambda: sessions(service)[0].message_octets == 0, "no message under way")
        assert sessions(service)[0].retrieved == 1
