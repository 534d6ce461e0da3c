"""The audit is exact whatever is killed: old and new values are a chain, and each change is in it once."""

import functools
import itertools
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from state_store.redis import keys
from support.api_process import ADMINISTRATOR, environment
from support.api_service import ANSWER_SECONDS, ApiService
from support.pop3_process import wait_until
from support.redis_kinds import free_port
from support.redis_server import RedisServer
from support.service_process import kill, start_service

FAULTS = 12
CHANGES_BETWEEN_FAULTS = 4
FIRST_LIMIT = 2000
"""Above what any test opens, so that no change needs a confirmation."""


@dataclass
class Changes:
    """What became of the changes of the connection limit that were asked for."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_LIMIT))
    asked: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)
    is_over: threading.Event = field(default_factory=threading.Event)

    def are_acknowledged(self, number: int) -> bool:
        return len(self.acknowledged) >= number

    def make(self, change: Callable[[int], bool]) -> None:
        """Ask for one after the other; `change` returns whether it was acknowledged."""
        while not self.is_over.is_set():
            limit = next(self.numbers)
            self.asked.add(limit)
            with suppress(OSError, httpx.TransportError):
                if change(limit):
                    self.acknowledged.add(limit)


class Gateway:
    """`python -m peep_gateway` on a free port, which it gets again when it is started again."""

    def __init__(self, redis_url: str, folder: Path, stack: ExitStack) -> None:
        # While it is down, no outgoing connection may be given its port.
        self._environment = environment(redis_url, PEEP_PORT=str(free_port()))
        self._log, self._stack = folder / "gateway.log", stack

    def start(self) -> None:
        """Start the process and return when it serves."""
        self._process, served = start_service("peep_gateway", self._environment, self._log, self._stack)
        host, _, port = served["PEEP"].rpartition(":")
        self.address = host, int(port)

    def kill(self) -> None:
        """End the process as a crash would."""
        kill(self._process)

    def change(self, limit: int) -> bool:
        """Set the limit over PEEP, and return whether that was acknowledged."""
        with socket.create_connection(self.address, timeout=ANSWER_SECONDS) as client:
            name, password = ADMINISTRATOR
            client.sendall(f"a {name} {password}\r\nc= {limit}\r\n".encode())
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(100), b"")) == b"+\r\n+\r\n"


def entries(server: RedisServer) -> list[tuple[int, int]]:
    """Return the old and the new limit of each change in the audit."""
    with server.client() as client:
        found: Any = client.xrange(keys.AUDIT)
    return [
        (int(fields["old"]), int(fields["new"]))
        for _, fields in found
        if (fields["action"], fields["object"]) == ("settings.change", "max_connections")
    ]


@pytest.mark.timeout(240)
def test_each_change_is_in_the_audit_once_whatever_is_killed_meanwhile(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        api = stack.enter_context(ApiService(redis_server.url, tmp_path))
        gateway = Gateway(redis_server.url, tmp_path, stack)
        gateway.start()
        changes = Changes()
        make_changes_under_faults(changes, api, gateway, redis_server)
        assert changes.acknowledged
        check(entries(redis_server), changes, api)


def check(chain: list[tuple[int, int]], changes: Changes, api: ApiService) -> None:
    """Compare the audit with what was asked for, what was acknowledged, and what holds now."""
    assert chain[0][0] == 1000
    assert [old for old, _ in chain[1:]] == [new for _, new in chain[:-1]]
    assert chain[-1][1] == api.settings()["max_connections"]
    made = [new for _, new in chain]
    assert len(set(made)) == len(made)
    assert changes.acknowledged <= set(made) <= changes.asked


def make_changes_under_faults(
    changes: Changes, api: ApiService, gateway: Gateway, redis_server: RedisServer
) -> None:
    """Change the limit over HTTP and PEEP while one part after the other is killed or stands still."""

    def over_http(limit: int) -> bool:
        return api.client.patch("/v1/settings", json={"max_connections": limit}).status_code == 200

    def restart(part: ApiService | Gateway | RedisServer) -> None:
        part.kill()
        part.start()

    def stand_still() -> None:
        redis_server.pause()
        threading.Event().wait(random.uniform(0.0, 1.2))
        redis_server.resume()

    faults: list[Callable[[], None]] = [
        lambda: restart(api),
        lambda: restart(gateway),
        lambda: restart(redis_server),
        stand_still,
    ]
    clients = [
        threading.Thread(target=changes.make, args=(change,)) for change in (over_http, gateway.change)
    ]
    for client in clients:
        client.start()
    try:
        for number in range(FAULTS):
            wanted = len(changes.acknowledged) + CHANGES_BETWEEN_FAULTS
            wait_until(functools.partial(changes.are_acknowledged, wanted), "changes are made")
            faults[number % len(faults)]()
    finally:
        changes.is_over.set()
        for client in clients:
            client.join()
