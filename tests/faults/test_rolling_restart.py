"""A process that is asked to end: what open sessions get, and what clients see who come meanwhile."""

import errno
import functools
import signal
import socket
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, wait_until
from support.redis_server import RedisServer

MESSAGES = [b"Subject: one\n\n.dot\n", b"Subject: two\n\n" + b"x" * 70 + b"\n"]
LONG_MESSAGE = b"Subject: long\n\n" + (b"y" * 70 + b"\n") * 100_000
GOING_DOWN = b"-ERR [SYS/TEMP] the server is going down, try again later\r\n"
CLIENTS = 50
LOOKERS_IN = 20

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hand a port over so")


def test_sigterm_refuses_new_clients_and_dismisses_those_who_stay_after_the_drain(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    drain_seconds = 1.5
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
            wait_until(lambda: is_refused(service.address), "new clients are refused", 1)
            assert busy.ask_lines("RETR 2")[0] == b"Subject: two\r\n"
            assert busy.quit().startswith(b"+OK")
            assert idle.line() == GOING_DOWN
            assert idle.rest() == b""
            assert drain_seconds - 0.1 < time.monotonic() - began < drain_seconds + 1
            rest = reading.rest()
            assert not rest.endswith(b".\r\n")
            assert GOING_DOWN not in rest
        assert service.process.wait(5) == 0
        assert [len(service.files(name)) for name in names] == [1, 2, 1]


def is_refused(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == errno.ECONNREFUSED


class Visitor:
    """A client that connects and quits again and again; one with a user name logs in and fetches."""

    def __init__(self, address: tuple[str, int], username: str | None, ending: threading.Event) -> None:
        self._address = address
        self._username = username
        self._ending = ending
        self.outcomes: Counter[str] = Counter()
        self.longest_seconds = 0.0

    def run(self) -> None:
        """Go on until the end."""
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                with Pop3Client(self._address) as client:
                    self.outcomes[self._session(client)] += 1
            except OSError as error:
                self.outcomes[type(error).__name__] += 1
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)

    def _session(self, client: Pop3Client) -> str:
        """Return `whole` after a session without a fault, or the first line that was none of a good one."""
        if not client.greeting.startswith(b"+OK"):
            return repr(client.greeting)
        if self._username is not None:
            for line in (client.ask(f"USER {self._username}"), client.ask(f"PASS {PASSWORD}")):
                if not line.startswith(b"+OK"):
                    return repr(line)
            for number, message in enumerate(MESSAGES, 1):
                wire = message.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
                if b"".join(client.ask_lines(f"RETR {number}")) != wire:
                    return "another message"
        last = client.ask("QUIT")
        return "whole" if last.startswith(b"+OK") and client.rest() == b"" else repr(last)


@on_linux
def test_no_client_is_refused_or_cut_off_while_replicas_behind_one_port_are_restarted_in_turn(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    ending = threading.Event()
    with ExitStack() as stack:

        def start(number: int, port: int = 0) -> Pop3Process:
            """Start one that shares its port, as the workers of one service do."""
            folder = tmp_path / str(number)
            folder.mkdir()
            mail = tmp_path / "0" / "mail"
            process = Pop3Process(
                redis_server.url,
                folder,
                PEEP_POP3_SHARE_PORTS="1",
                PEEP_POP3_PORT=str(port),
                PEEP_MAIL_DIR=str(mail),
                PEEP_DRAIN_SECONDS="30",
            )
            return stack.enter_context(process)

        def all_have_come_again(before: list[int]) -> bool:
            return all(one.outcomes["whole"] > visits for one, visits in zip(visitors, before, strict=True))

        def has_served(service: Pop3Process) -> bool:
            return "session ended" in service.log.read_text()

        first = start(0)
        running = [first, start(1, first.address[1])]
        usernames = [first.add_user(*MESSAGES) for _ in range(CLIENTS)]
        # Those who only look in come so often that a gap between two owners of the port would show.
        visitors = [Visitor(first.address, name, ending) for name in usernames + [None] * LOOKERS_IN]
        threads = ThreadPoolExecutor(len(visitors))
        stack.callback(threads.shutdown)
        stack.callback(ending.set)
        work = [threads.submit(visitor.run) for visitor in visitors]
        wait_until(functools.partial(all_have_come_again, [0] * len(visitors)), "all have come once")
        for number in (2, 3):
            old = running.pop(0)
            assert old.terminate() == 0
            newest = start(number, first.address[1])
            running.append(newest)
            before = [visitor.outcomes["whole"] for visitor in visitors]
            wait_until(functools.partial(all_have_come_again, before), "all are served")
            wait_until(functools.partial(has_served, newest), "the new one has its share of them")
        ending.set()
        for one in work:
            one.result()
        outcomes = sum((visitor.outcomes for visitor in visitors), Counter())
        longest = max(visitor.longest_seconds for visitor in visitors)
        print(f"{dict(outcomes)}, the longest took {longest:.2f} s")
        assert set(outcomes) == {"whole"}
