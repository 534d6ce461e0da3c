"""A worker that stands still for good: nobody waits for it for long, and another takes its place."""

import os
import signal
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from support.pop3_process import Pop3Process, wait_until
from support.redis_server import RedisServer

CLIENT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 8.0
"""Two to three seconds until the other worker takes its clients, and a busy machine."""

REPLACED_SECONDS = 25.0
"""Ten seconds of silence, a start, and a busy machine."""


def greeted_after(address: tuple[str, int]) -> float:
    began = time.monotonic()
    with socket.create_connection(address, LONGEST_WAIT_SECONDS) as client:
        assert client.recv(4) == b"+OK "
    return time.monotonic() - began


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers by /proc")
def test_a_worker_that_stands_still_is_replaced_and_every_client_is_greeted(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with Pop3Process(redis_server.url, tmp_path, workers=2) as service, ThreadPoolExecutor(64) as threads:
        children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
        still, other = children.read_text().split()
        os.kill(int(still), signal.SIGSTOP)
        greeted: list[Future[float]] = []

        def is_replaced() -> bool:
            greeted.append(threads.submit(greeted_after, service.address))
            threading.Event().wait(CLIENT_SECONDS)
            return "worker_started_again" in service.log.read_text()

        wait_until(is_replaced, "another worker has taken its place", REPLACED_SECONDS)
        greeted += [threads.submit(greeted_after, service.address) for _ in range(32)]
        assert max(one.result() for one in greeted) < LONGEST_WAIT_SECONDS
        now = children.read_text().split()
        assert len(now) == 2
        assert other in now
        assert still not in now
        assert "worker gives no sign of life: ending it" in service.log.read_text()
        assert service.check_health()[0] == 0
