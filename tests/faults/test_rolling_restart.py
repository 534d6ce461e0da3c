"""A process that is asked to end: what open sessions get, and what clients see who come meanwhile."""

import errno
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from support.pop3_process import SECONDS, Pop3Process, wait_until
from support.redis_server import RedisServer

MESSAGES = [b"Subject: one\n\n.dot\n", b"Subject: two\n\n" + b"x" * 70 + b"\n"]
LONG_MESSAGE = b"Subject: long\n\n" + (b"y" * 70 + b"\n") * 100_000
GOING_DOWN = b"-ERR [SYS/TEMP] the server is going down, try again later\r\n"


def test_sigterm_refuses_new_clients_and_dismisses_those_who_stay_after_the_drain(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    drain_seconds = 4.0
    with Pop3Process(redis_server.url, tmp_path, PEEP_DRAIN_SECONDS=str(drain_seconds)) as service:
        names = [service.add_user(*MESSAGES), service.add_user(*MESSAGES), service.add_user(LONG_MESSAGE)]
        with ExitStack() as stack:
            busy, idle = (stack.enter_context(service.log_in(name)) for name in names[:2])
            reading = stack.enter_context(service.connect(window=8192)).log_in(names[2])
            for client in (busy, idle):
                assert client.ask("DELE 1").startswith(b"+OK")
            assert reading.ask("RETR 1").startswith(b"+OK")
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(service.address), "new clients are refused")
            assert busy.ask_lines("RETR 2")[0] == b"Subject: two\r\n"
            assert busy.quit().startswith(b"+OK")
            assert idle.line() == GOING_DOWN
            assert idle.rest() == b""
            assert drain_seconds - 0.1 < time.monotonic() - began < 2 * drain_seconds
            rest = reading.rest()
            assert not rest.endswith(b".\r\n")
            assert GOING_DOWN not in rest
        assert service.process.wait(SECONDS) == 0
        assert [len(service.files(name)) for name in names] == [1, 2, 1]


def is_refused(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == errno.ECONNREFUSED
