"""Each process's end of the health checks, `python -m pop3_service health`.

Each process has a Unix socket for it. A check is no POP3 connection: it appears in no counter, log or limit,
and succeeds when all connections are taken. It allows no login. Redis plays no part: while it is away every
process would fail, and clients would no longer get the reply that says why they are not served (D8).
"""

import asyncio
import contextlib
import os
import socket

import structlog

from line_server.connection import LineConnection
from line_server.lines import OverlongLine
from line_server.listener_options import ListenerOptions
from line_server.server import LineServer
from pop3_service.command_lines import command_lines
from pop3_service.health.check import socket_paths
from pop3_service.protocol.intentions import HangUp
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.session import Session

IDLE_SECONDS = 10.0

log = structlog.get_logger()


class HealthConnection(LineConnection):
    """Greets, and answers commands that need no maildrop."""

    def __init__(self, connections: set[LineConnection], options: ListenerOptions) -> None:
        super().__init__(command_lines(), connections, options)
        self._session = Session("health", Policy("Peep"))

    def opened(self) -> None:
        """Greet."""
        asyncio.get_running_loop().call_later(IDLE_SECONDS, self.abort)
        self.send(self._session.greeting())

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer a command; a login ends the connection."""
        session = self._session
        answer = session.receive(line) if isinstance(line, bytes) else session.receive_overlong(line.head)
        if isinstance(answer, bytes):
            self.send(answer)
        else:
            self.hang_up(answer.reply if isinstance(answer, HangUp) else b"")

    def failed(self, error: Exception) -> None:
        """Log a bug."""
        log.error("bug in a health check", exc_info=error)


class HealthServer:
    """One process's end of the health checks, for the POP3 port that it serves."""

    def __init__(self, port: int, *, is_logging: bool = True) -> None:
        # Named by process id and not by worker number: two services that share a port have equal numbers.
        self._paths = socket_paths(port, str(os.getpid()))
        self._server = LineServer(HealthConnection)
        self._is_logging = is_logging

    async def start(self) -> None:
        """Listen. A failure is logged, at debug unless `is_logging`: mail is served all the same."""
        faults = []
        for path in self._paths:
            try:
                await self._server.listen([_bound(path)])
            except OSError as error:
                faults.append(f"{path}: {error.strerror or error}")
            else:
                return
        write = log.warning if self._is_logging else log.debug
        write("health checks cannot be answered: no folder for their socket", tried=faults)

    def stop(self) -> None:
        """Stop listening, and close open checks."""
        self._server.stop_listening()
        for connection in list(self._server.connections):
            connection.abort()
        for path in self._paths:
            _unlink(path)


def _bound(path: str) -> socket.socket:
    _unlink(path)  # left by a process that was killed
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(path)
        os.chmod(path, 0o600)
    except BaseException:
        bound.close()
        raise
    return bound


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
