"""A process that is asked to end: what open sessions get, and what clients see who come meanwhile."""

import asyncio
import errno
import functools
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
import uvloop

from line_server.connection import LineConnection
from line_server.lines import LineBuffer, OverlongLine
from line_server.listener import is_shared, listen, take_no_new_clients
from line_server.server import HAND_OVER_SECONDS, LineServer
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, wait_until
from support.redis_server import RedisServer

MESSAGES = [b"Subject: one\n\n.dot\n", b"Subject: two\n\n" + b"x" * 70 + b"\n"]
LONG_MESSAGE = b"Subject: long\n\n" + (b"y" * 70 + b"\n") * 100_000
GOING_DOWN = b"-ERR [SYS/TEMP] the server is going down, try again later\r\n"
CLIENTS = 50
LOOKERS_IN = 20
SYN_IS_REPEATED_AFTER_SECONDS = 1.0

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hand a port over so")
on_both_event_loops = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


class Greeter(LineConnection):
    """Greets; answers one line and hangs up."""

    def opened(self) -> None:
        self.send(b"hello\r\n")

    def line_received(self, line: bytes | OverlongLine) -> None:
        self.hang_up(b"bye\r\n")

    def failed(self, error: Exception) -> None:
        raise error


def greeter_server() -> LineServer:
    return LineServer(lambda connections, options: Greeter(LineBuffer(255), connections, options))


def shared_socket(port: int = 0) -> socket.socket:
    [bound] = listen("127.0.0.1", port, "PEEP_POP3_PORT", shared=True)
    return bound


async def conversation(client: socket.socket) -> bytes:
    """Say a line on a connected socket and return all that is answered."""
    client.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(b"quit\r\n")
    try:
        return await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def connected(port: int) -> socket.socket:
    """Return a connection that the kernel has made, whether the server has accepted it or not."""
    return socket.create_connection(("127.0.0.1", port), timeout=5)


# The port


@on_linux
@on_both_event_loops
def test_clients_that_the_kernel_has_let_in_before_the_end_are_all_served(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def drain_with_clients_in_the_queue() -> list[bytes]:
        bound = shared_socket()
        port = bound.getsockname()[1]
        server = greeter_server()
        await server.listen([bound])
        # Nothing is accepted here: the event loop does not run until all are there.
        clients = [connected(port) for _ in range(CLIENTS)]
        draining = asyncio.create_task(server.drain(5, LineConnection.abort))
        answers = await asyncio.gather(*(conversation(client) for client in clients))
        await draining
        with pytest.raises(ConnectionRefusedError):
            connected(port)
        return answers

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(drain_with_clients_in_the_queue()) == [b"hello\r\nbye\r\n"] * CLIENTS


@on_linux
@on_both_event_loops
def test_clients_that_come_while_a_port_is_given_up_are_served_by_those_who_share_it(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def drain_under_arrivals() -> tuple[list[bytes], float]:
        leaving, staying = shared_socket(), None
        port = leaving.getsockname()[1]
        first, second = greeter_server(), greeter_server()
        await first.listen([leaving])
        staying = shared_socket(port)
        await second.listen([staying])
        draining = asyncio.create_task(first.drain(5, LineConnection.abort))
        await asyncio.sleep(0)
        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as threads:
            loop = asyncio.get_running_loop()
            comings = [loop.run_in_executor(threads, connected, port) for _ in range(CLIENTS)]
            clients = await asyncio.gather(*comings)
        seconds = time.monotonic() - began
        assert not first.connections
        answers = await asyncio.gather(*(conversation(client) for client in clients))
        await draining
        await second.drain(0, LineConnection.abort)
        return answers, seconds

    with asyncio.Runner(loop_factory=new_loop) as runner:
        answers, seconds = runner.run(drain_under_arrivals())
    assert answers == [b"hello\r\nbye\r\n"] * CLIENTS
    # About half of them were dealt to the one that leaves, and came again.
    assert seconds < SYN_IS_REPEATED_AFTER_SECONDS + 2


@on_linux
def test_socket_that_takes_no_new_clients_neither_answers_nor_refuses_them() -> None:
    with closing(shared_socket()) as bound:
        bound.listen()
        address = bound.getsockname()
        with connected(address[1]) as earlier:
            assert take_no_new_clients(bound)
            with socket.socket() as later:
                later.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    later.connect(address)
            bound.settimeout(1)
            accepted, peer = bound.accept()
            with accepted:
                assert peer == earlier.getsockname()
                earlier.sendall(b"octets pass as before")
                assert accepted.recv(100) == b"octets pass as before"


def test_only_a_port_that_others_may_share_is_handed_over() -> None:
    [alone] = listen("127.0.0.1", 0, "PEEP_POP3_PORT")
    with closing(alone), closing(shared_socket()) as shared, socket.socket(socket.AF_UNIX) as unix:
        assert [is_shared(bound) for bound in (alone, shared, unix)] == [False, True, False]


async def test_port_that_nobody_shares_is_closed_at_once() -> None:
    [alone] = listen("127.0.0.1", 0, "PEEP_POP3_PORT")
    address = alone.getsockname()
    server = greeter_server()
    await server.listen([alone])
    began = time.monotonic()
    await server.drain(5, LineConnection.abort)
    assert time.monotonic() - began < HAND_OVER_SECONDS / 2
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


# The service


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
