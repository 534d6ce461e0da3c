"""A relay before a server on a Unix socket that can forget the connections it carries, as firewalls do."""

import contextlib
import selectors
import socket
import struct
import threading
from pathlib import Path
from typing import Self

_CHUNK_OCTETS = 65536
_NO_LINGERING = struct.pack("ii", 1, 0)


class ForgetfulRelay:
    """Relays a free loopback port to a Unix socket."""

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._others: dict[socket.socket, socket.socket] = {}
        self._forgotten: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._relay)
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._thread.join()
        for one in [*self._others, *self._forgotten, self._listener, self._woken]:
            one.close()
        self._selector.close()

    def forget(self, *, silently: bool) -> int:
        """Carry nothing more of the connections that there are: without a word, or with a reset.

        Returns how many those were, clients' ends and the server's together.
        """
        with self._lock:
            ends, self._others = list(self._others), {}
            for end in ends:
                if silently:
                    self._forgotten.add(end)  # read and thrown away
                else:
                    self._selector.unregister(end)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
                    end.close()
        return len(ends)

    def _relay(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                with self._lock, contextlib.suppress(OSError):
                    self._carry(key.fileobj)

    def _carry(self, end: object) -> None:
        assert isinstance(end, socket.socket)
        if end is self._listener:
            client, _ = end.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._others |= {client: server, server: client}
            self._selector.register(client, selectors.EVENT_READ)
            self._selector.register(server, selectors.EVENT_READ)
        elif end.fileno() < 0:
            return  # closed since it was selected
        elif octets := end.recv(_CHUNK_OCTETS):
            if end in self._others:
                self._others[end].sendall(octets)
        else:
            self._close(end)

    def _close(self, end: socket.socket) -> None:
        other = self._others.pop(end, None)
        self._forgotten.discard(end)
        for one in (end, other):
            if one is not None:
                self._others.pop(one, None)
                self._selector.unregister(one)
                one.close()
