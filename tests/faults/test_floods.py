"""Many connections that keep a service as busy as they can, and how others fare meanwhile."""

import contextlib
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from line_server.budget import MOST_LINES
from support.peep_program import PeepSession, has_logged, port_of, program
from support.pop3_process import Pop3Process

CONNECTIONS = 300
OCTETS = 1_200_000
"""What each of them sends and does not read the answers to; most of it stays with the sender."""

SILENT_CONNECTIONS = 900

LOGINS = 15
LOGIN_SECONDS = 0.5
"""Far above what one takes beside the flood on a busy machine (20 ms), far below what it took once (8 s)."""


@contextmanager
def flood(address: tuple[str, int], command: bytes) -> Iterator[list[socket.socket]]:
    """Connect many times, and send each time as much as the kernel takes; nothing is ever read."""
    octets = command * (OCTETS // len(command))
    with ExitStack() as stack:
        attackers = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(CONNECTIONS)]
        for attacker in attackers:
            attacker.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                attacker.send(octets)
        yield attackers


def test_logins_take_their_time_while_hundreds_send_commands_before_login(
    redis_url: str, tmp_path: Path
) -> None:
    with Pop3Process(redis_url, tmp_path) as service:
        user = service.add_user(b"Subject: a\r\n\r\nb\r\n")
        service.log_in(user).quit()  # from now on the password is remembered
        with flood(service.address, b"CAPA\r\n"):
            seconds = []
            for _ in range(LOGINS):
                began = time.monotonic()
                with service.log_in(user) as client:
                    seconds.append(time.monotonic() - began)
                    client.quit()
        assert statistics.median(seconds) < LOGIN_SECONDS, seconds


def test_a_flood_before_login_is_ended_with_one_answer_and_its_address_still_logs_in(
    redis_url: str, tmp_path: Path
) -> None:
    with Pop3Process(redis_url, tmp_path) as service:
        user = service.add_user(b"Subject: a\r\n\r\nb\r\n")
        with service.connect() as client:
            client.send(b"CAPA\r\n" * 10_000)
            lines = client.rest().splitlines(keepends=True)
            assert lines[-1] == b"-ERR too many commands before login, closing\r\n"
            assert lines.count(b".\r\n") == MOST_LINES
        with service.connect() as client:
            client.ask_lines("CAPA")
            client.log_in(user)
            client.send(b"NOOP\r\n" * 1000 + b"QUIT\r\n")  # after login nobody counts
            assert client.rest().count(b"+OK") == 1001
        assert '"ending": "too many commands before login"' in service.log.read_text()


def test_administrators_sign_in_beside_hundreds_of_silent_connections(redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "peep-gateway.log"
    with program("peep_gateway", log, redis_url), ExitStack() as stack:
        port = port_of("peep_gateway", log)
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            for _ in range(SILENT_CONNECTIONS)
        ]
        with PeepSession(port) as administrator:
            assert administrator.ask("c?") == b"+1000\r\n"
        assert silent[0].recv(10) == b"-8\r\n"
        assert has_logged(log, "too many connections that have not signed in")
