"""Clients who all come while the event loop is busy: let in together, not one a turn."""

import asyncio
import socket
from contextlib import ExitStack

import uvloop

from line_server.connection import LineConnection
from line_server.lines import LineBuffer
from line_server.listener import listen
from line_server.server import ACCEPTS_PER_TURN, LineServer

CLIENTS = 100
TURNS = 20
"""An arrival takes a few; one a turn would take as many as there are clients."""


class Greeter(LineConnection):
    """Greets, and says nothing more."""

    def opened(self) -> None:
        self.send(b"+OK\r\n")


async def greeted(clients: list[socket.socket]) -> int:
    """Let so many clients wait; return how many are greeted after a few turns of the event loop."""
    server = LineServer(lambda connections, options: Greeter(LineBuffer(255), connections, options))
    (bound,) = listen("127.0.0.1", 0, "PEEP_POP3_PORT")
    await server.listen([bound])
    for client in clients:
        client.connect(bound.getsockname())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    count = len(server.connections)
    await asyncio.sleep(0.5)
    for client in clients:
        assert client.recv(10) == b"+OK\r\n"
    await server.drain(0, lambda connection: connection.abort())
    return count


def test_all_who_wait_are_let_in_together() -> None:
    assert CLIENTS < ACCEPTS_PER_TURN
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(CLIENTS)]
        for client in clients:
            client.settimeout(20)
        assert uvloop.run(greeted(clients)) == CLIENTS
