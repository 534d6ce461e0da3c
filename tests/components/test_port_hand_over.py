"""A port that several processes share, and that one of them gives up while clients come."""

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest
import uvloop

from line_server.connection import LineConnection
from line_server.lines import LineBuffer, OverlongLine
from line_server.listener import is_shared, listen, take_no_new_clients
from line_server.server import HAND_OVER_SECONDS, LineServer

CLIENTS = 50
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


def test_port_whose_new_clients_cannot_be_held_off_is_not_handed_over() -> None:
    bound = shared_socket()
    bound.close()
    assert not take_no_new_clients(bound)
