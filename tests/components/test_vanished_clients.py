"""Clients whose network is gone: nothing of theirs arrives any more, and nothing of ours reaches them."""

import asyncio
import ctypes
import socket
import struct
import sys

import pytest
import uvloop

from line_server import listener
from line_server.connection import LineConnection
from line_server.lines import LineBuffer
from line_server.listener import listen
from line_server.server import LineServer

SO_ATTACH_FILTER = 26

THREE_MINUTES = 180

ACCEPTED_OPTIONS = {
    "TCP_KEEPIDLE": listener.IDLE_SECONDS_BEFORE_PROBE,
    "TCP_KEEPINTVL": listener.PROBE_SECONDS,
    "TCP_USER_TIMEOUT": listener.VANISHED_SECONDS * 1000,
}

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")


class Talker(LineConnection):
    """Sends `octets`, and takes note of its end."""

    octets = b""

    def opened(self) -> None:
        self.is_over = asyncio.Event()
        self.send(self.octets)

    def closed(self) -> None:
        self.is_over.set()


def cut_off(client: socket.socket) -> None:
    """Let the kernel drop whatever comes for this socket, unanswered, as if its cable were drawn."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(drop_all)))


class BusyTalker(Talker):
    octets = bytes(32 * 1024 * 1024)


async def seconds_until_gone(talker: type[Talker]) -> float:
    """Return after how long a client is given up that vanishes once connected."""
    loop = asyncio.get_running_loop()
    server = LineServer(lambda connections, options: talker(LineBuffer(255), connections, options))
    (bound,) = listen("127.0.0.1", 0, "PEEP_POP3_PORT")
    await server.listen([bound])
    with socket.socket() as client:
        client.connect(bound.getsockname())
        try:
            async with asyncio.timeout(20):
                while not server.connections:
                    await asyncio.sleep(0.01)
                cut_off(client)
                (connection,) = server.connections
                assert isinstance(connection, Talker)
                began = loop.time()
                await connection.is_over.wait()
                return loop.time() - began
        finally:
            await server.drain(0, lambda each: each.abort())


async def seconds_until_all_are_gone() -> list[float]:
    return await asyncio.gather(*(seconds_until_gone(talker) for talker in (Talker, BusyTalker)))


def test_accepted_sockets_notice_within_three_minutes_that_their_client_is_gone() -> None:
    (bound,) = listen("127.0.0.1", 0, "PEEP_POP3_PORT")
    with bound, socket.socket() as client:
        bound.listen()
        bound.setblocking(True)
        client.connect(bound.getsockname())
        accepted, _address = bound.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            for name, value in ACCEPTED_OPTIONS.items():
                if hasattr(socket, name):
                    assert accepted.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value, name
            probes = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
    asked = listener.IDLE_SECONDS_BEFORE_PROBE + probes * listener.PROBE_SECONDS
    # A probe may be sent a moment too early for the last count, and is then followed by one more.
    assert asked + listener.PROBE_SECONDS < THREE_MINUTES
    assert listener.VANISHED_SECONDS < THREE_MINUTES


@linux_only
def test_clients_that_vanish_are_given_up_idle_or_with_much_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "IDLE_SECONDS_BEFORE_PROBE", 1)
    monkeypatch.setattr(listener, "PROBE_SECONDS", 1)
    monkeypatch.setattr(listener, "VANISHED_SECONDS", 2)
    assert min(uvloop.run(seconds_until_all_are_gone())) > 1
