"""Many connections that keep a service as busy as they can, and how others fare meanwhile."""

import contextlib
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.pop3_process import Pop3Process

CONNECTIONS = 300
OCTETS = 1_200_000
"""What each of them sends and does not read the answers to; most of it stays with the sender."""

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
