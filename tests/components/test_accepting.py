"""Clients who come while the event loop is busy: let in together, a few of them without a task."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvloop

from line_server.connection import LineConnection
from line_server.lines import LineBuffer
from line_server.listener import listen
from line_server.server import ACCEPTORS, ACCEPTS_PER_TURN, PATIENT_TURNS, LineServer

CLIENTS = 100
PATIENTLY = ACCEPTORS * (PATIENT_TURNS + 1)
"""Clients who are let in by the event loop alone, if all come at once."""
TURNS = 20
"""An arrival takes a few; one a turn would take as many as there are clients."""

on_both_event_loops = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


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
    for client in clients:
        assert await asyncio.to_thread(client.recv, 10) == b"+OK\r\n"
    await server.drain(0, lambda connection: connection.abort())
    return count


@pytest.fixture
def clients() -> Iterator[list[socket.socket]]:
    """Give sockets that are not connected yet."""
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(CLIENTS)]
        for client in made:
            client.settimeout(20)
        yield made


@on_both_event_loops
def test_all_who_wait_are_let_in_together(
    clients: list[socket.socket], new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    assert CLIENTS < ACCEPTS_PER_TURN
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(greeted(clients)) == CLIENTS


@pytest.mark.parametrize(
    ("number", "tasks"), [(1, 0), (ACCEPTORS + 3, 0), (PATIENTLY, 0), (PATIENTLY + 3, 3)]
)
def test_only_clients_of_a_long_queue_need_tasks(
    clients: list[socket.socket], number: int, tasks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = 0

    async def arrive(server: LineServer, *arguments: Any) -> None:
        nonlocal arrived
        arrived += 1
        await arriving(server, *arguments)

    arriving = LineServer._arrive
    monkeypatch.setattr(LineServer, "_arrive", arrive)
    assert uvloop.run(greeted(clients[:number])) == number
    assert arrived == tasks
