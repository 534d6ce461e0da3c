"""A port behind which one server is exchanged for another, as a site does it: clients notice nothing."""

import socket
import socketserver
import threading
from typing import Self

from support.pop3_process import SECONDS

_CHUNK_OCTETS = 1 << 16


class ServerSwitch:
    """Relays a free loopback port to `target`, which may change between two connections."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        switch = self

        class Relay(socketserver.BaseRequestHandler):
            """One connection."""

            def handle(self) -> None:
                """Carry octets both ways until both sides have ended."""
                with socket.create_connection(switch.target, timeout=SECONDS) as server:
                    back = threading.Thread(target=_carry, args=(server, self.request))
                    back.start()
                    _carry(self.request, server)
                    back.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay)
        self.address: tuple[str, int] = self._server.socket.getsockname()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _carry(source: socket.socket, destination: socket.socket) -> None:
    try:
        while chunk := source.recv(_CHUNK_OCTETS):
            destination.sendall(chunk)
        destination.shutdown(socket.SHUT_WR)
    except OSError:  # one of them is gone: the other one learns it
        destination.close()
