"""A PEEP server as small as the protocol's text allows: no extensions, no pipelining, one read a command.

It answers the first command of what one read brings and throws the rest away, so a client that sends more
than one at a time waits in vain.
"""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ADMINISTRATOR = "bob"
PASSWORD = "password-of-bob"

NUMBERS = {"rb?": 2612, "re?": 7, "xe?": 3, "cc?": 2, "hc?": 23, "hu?": 11}
LOGGED_IN = ("linus", "unix")

_READ_OCTETS = 268


class _State:
    """What all sessions share."""

    def __init__(self) -> None:
        self.users = {"linus": "torvalds", "unix": "torvalds"}
        self.settings = {"c": "15", "t": "300", "m": "/home/mail"}
        self.received: list[str] = []
        """Every read, decoded."""


class _Session(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self._is_authenticated = False
        state: _State = self.server.state  # type: ignore[attr-defined]
        while octets := self.request.recv(_READ_OCTETS):
            text = octets.decode()
            state.received.append(text)
            commencement, *arguments = text.partition("\r\n")[0].split(" ")
            self.request.sendall(
                "".join(f"{line}\r\n" for line in self._reply(state, commencement, arguments)).encode()
            )
            if commencement == "q":
                return

    def _reply(self, state: _State, commencement: str, arguments: list[str]) -> list[str]:
        if commencement == "q":
            return ["+"]
        if commencement == "cap?":
            return ["+3", "a", "c=1-500", "t=0-300"]
        if not self._is_authenticated:
            if commencement != "a":
                return ["-0"]
            self._is_authenticated = arguments == [ADMINISTRATOR, PASSWORD]
            return ["+" if self._is_authenticated else "-2"]
        if commencement in NUMBERS:
            return [f"+{NUMBERS[commencement]}"]
        return _changed(state, commencement, arguments)


def _changed(state: _State, commencement: str, arguments: list[str]) -> list[str]:
    match commencement, arguments:
        case "u?", _:
            return [f"+{len(state.users)}", *sorted(state.users)]
        case "cu?", _:
            return [f"+{len(LOGGED_IN)}", *LOGGED_IN]
        case (("c?" | "t?" | "m?"), _):
            return [f"+{state.settings[commencement[0]]}"]
        case "u+", [username, password]:
            if username in state.users:
                return ["-3"]
            state.users[username] = password
            return ["+"]
        case "u-", [username]:
            return ["+" if state.users.pop(username, None) else "-4"]
        case (("c=" | "t=" | "m="), [value]):
            return _set(state, commencement[0], value)
    return ["-0"]


def _set(state: _State, name: str, value: str) -> list[str]:
    if name == "c" and not 1 <= int(value) <= 500:
        return ["-5"]
    if name == "t" and not 0 <= int(value) <= 300:
        return ["-7"]
    if name == "m" and not value.startswith("/"):
        return ["-6"]
    state.settings[name] = value
    return ["+"]


class BarePeepServer(socketserver.ThreadingTCPServer):
    """The server; `received` holds what each read has brought."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.state = _State()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        port: int = self.server_address[1]
        return port

    @property
    def received(self) -> list[str]:
        """What each read has brought, decoded."""
        return self.state.received


@contextmanager
def bare_peep_server() -> Iterator[BarePeepServer]:
    """Run the server in threads of its own."""
    with BarePeepServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _CannedServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, replies: tuple[bytes, ...], *, stays: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Canned)
        self.replies = replies
        self.stays = stays


class _Canned(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _CannedServer)
        for reply in server.replies:
            if not self.request.recv(_READ_OCTETS):
                return
            self.request.sendall(reply)
        while server.stays and self.request.recv(_READ_OCTETS):
            pass


@contextmanager
def canned_server(*replies: bytes, stays: bool = False) -> Iterator[int]:
    """Answer each read with the next of `replies`, whatever it brings; give the port.

    After the last the connection is closed; where the server `stays`, it goes on reading in silence.
    """
    with _CannedServer(replies, stays=stays) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
