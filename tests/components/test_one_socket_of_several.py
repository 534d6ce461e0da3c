"""A listening socket that several servers have, as the workers of a service or its old and new process do."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
import uvloop

from line_server.connection import LineConnection
from line_server.lines import LineBuffer, OverlongLine
from line_server.listener import listen
from line_server.server import LineServer

CLIENTS = 50

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


def connected(address: tuple[str, int]) -> list[socket.socket]:
    """Return connections that the kernel has made, whether a server has accepted them or not."""
    return [socket.create_connection(address, timeout=5) for _ in range(CLIENTS)]


@on_both_event_loops
def test_clients_who_wait_when_a_server_leaves_and_who_come_later_are_served_by_the_next_one(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def replace_a_server() -> list[bytes]:
        [kept] = listen("127.0.0.1", 0, "PEEP_POP3_PORT")
        with ExitStack() as stack:
            stack.enter_context(kept)
            address = kept.getsockname()
            old, new = greeter_server(), greeter_server()
            await old.listen([kept.dup()])
            # None is accepted yet: the event loop does not turn until the old server has left.
            clients = connected(address)
            await old.drain(0, LineConnection.abort)
            assert not old.connections
            clients += connected(address)
            await new.listen([kept.dup()])
            answers = await asyncio.gather(*(conversation(client) for client in clients))
            await new.drain(0, LineConnection.abort)
            return answers

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(replace_a_server()) == [b"hello\r\nbye\r\n"] * 2 * CLIENTS


async def test_a_socket_that_nobody_else_has_refuses_clients_as_soon_as_its_server_drains() -> None:
    [alone] = listen("127.0.0.1", 0, "PEEP_POP3_PORT")
    address = alone.getsockname()
    server = greeter_server()
    await server.listen([alone])
    draining = asyncio.create_task(server.drain(5, LineConnection.abort))
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
    await draining
