"""The client for programs that wait: one blocking socket."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from peep_client.addresses import (
    CONNECT_SECONDS,
    QUIT_SECONDS,
    READ_OCTETS,
    SILENCE_SECONDS,
    Address,
    address,
)
from peep_client.protocol.commands import Request, request
from peep_client.protocol.dialogue import Dialogue, Operation
from peep_client.protocol.errors import ConnectionLost, NotPeep, PeepError, TimedOut
from peep_client.protocol.records import Capabilities, Counters, Session, Settings, SlowDown
from peep_client.protocol.replies import MAX_REPLY_LINES, Reply, ReplyParser

_Result = TypeVar("_Result")


class Peep:
    """A connection to a PEEP server, for one thread at a time. `connect` makes it.

    Methods raise `NegativeReply` when the server refuses; `ConnectionLost`, `TimedOut` and `NotPeep` end
    the connection.
    """

    def __init__(
        self, connection: socket.socket, *, pipelining: bool | None = None, max_lines: int = MAX_REPLY_LINES
    ) -> None:
        self._connection: socket.socket | None = connection
        self._dialogue = Dialogue(pipelining)
        self._parser = ReplyParser(max_lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether the connection has neither been closed nor been given up."""
        return self._connection is not None

    def close(self) -> None:
        """Say `q` and close; more than once does no harm."""
        if self._connection is None:
            return
        self._connection.settimeout(QUIT_SECONDS)
        with suppress(PeepError):
            self._do(self._dialogue.quit())
        self._hang_up()

    def log_in(self, username: str, password: str) -> None:
        """Log in as an administrator; raises `WrongLogin`. `connect` has done it where it got both."""
        self._do(self._dialogue.log_in(username, password))

    def capabilities(self) -> Capabilities:
        """Return what `cap?` tells, asked for once."""
        return self._do(self._dialogue.capabilities())

    def command(self, line: str, *, multi_line: bool | None = None) -> Reply:
        """Send a line as it is and return the reply, a negative one too.

        Say `multi_line=True` of an extension that is answered by `+n` and n lines and that this library
        does not know. Raises `InvalidArgument` for CR and LF.
        """
        return self._do(self._dialogue.command(line, multi_line=multi_line))

    def counters(self) -> Counters:
        """Return all counters: in one exchange with a Peep that pipelines, else one after the other."""
        return self._do(self._dialogue.counters())

    def settings(self) -> Settings:
        """Return all settings."""
        return self._do(self._dialogue.settings())

    def users(self) -> list[str]:
        """Return the names of all POP3 users."""
        return self._do(self._dialogue.lines("u?"))

    def add_user(self, username: str, password: str) -> None:
        """Add a POP3 user; `NegativeReply` with code 3 when there is one of that name."""
        self._do(self._dialogue.change("u+", username, password))

    def remove_user(self, username: str) -> None:
        """Remove a POP3 user, not the mail; `NegativeReply` with code 4 when there is none."""
        self._do(self._dialogue.change("u-", username))

    def set_password(self, username: str, password: str) -> None:
        """Change a POP3 user's password; code 4 when there is none, `NotSupported` without `p=`."""
        self._do(self._dialogue.set_password(username, password))

    def max_connections(self) -> int:
        """Return how many POP3 connections may be open at one time."""
        return self._do(self._dialogue.integer("c?"))

    def set_max_connections(self, limit: int) -> None:
        """Limit the POP3 connections; code 5 when out of the range that `capabilities` tells."""
        self._do(self._dialogue.change("c=", limit))

    def timeout(self) -> int:
        """Return after how many seconds of silence a POP3 session ends, mostly 0 for never."""
        return self._do(self._dialogue.integer("t?"))

    def set_timeout(self, seconds: int) -> None:
        """Set that time; code 7 when out of the range that `capabilities` tells."""
        self._do(self._dialogue.change("t=", seconds))

    def mail_directory(self) -> str:
        """Return the absolute path of the folder where all maildirs are."""
        return self._do(self._dialogue.text("m?"))

    def set_mail_directory(self, path: str) -> None:
        """Set that folder; code 6 when the POP3 service cannot use it."""
        self._do(self._dialogue.change("m=", path))

    def logged_in_users(self) -> list[str]:
        """Return the names of the POP3 users who have an open session."""
        return self._do(self._dialogue.lines("cu?"))

    def sessions(self) -> list[Session]:
        """Return the open POP3 sessions; `NotSupported` without `s?`."""
        return self._do(self._dialogue.sessions())

    def close_session(self, session_id: str) -> None:
        """Close a POP3 session; code 4 when there is none of that id, `NotSupported` without `k-`."""
        self._do(self._dialogue.close_session(session_id))

    def slow_downs(self) -> list[SlowDown]:
        """Return who is slowed down for wrong passwords; `NotSupported` without `g?`."""
        return self._do(self._dialogue.slow_downs())

    def lift_slow_down(self, slow_down_id: str) -> None:
        """Lift a slow-down; code 4 when there is none of that id, `NotSupported` without `g-`."""
        self._do(self._dialogue.lift_slow_down(slow_down_id))

    def version(self) -> str:
        """Return the server's version; `NotSupported` without `v?`."""
        return self._do(self._dialogue.version())

    def _do(self, operation: Operation[_Result]) -> _Result:
        try:
            requests = next(operation)
            while True:
                requests = operation.send(self._exchange(requests))
        except StopIteration as end:
            result: _Result = end.value
            return result
        except NotPeep:
            self._hang_up()
            raise

    def _exchange(self, requests: Sequence[Request]) -> list[Reply]:
        connection = self._connection
        if connection is None:
            raise ConnectionLost("the connection is closed")
        if self._parser.has_octets:
            raise NotPeep("the server has said more than it was asked")
        try:
            # One write: simple servers take one command a read.
            connection.sendall(b"".join([one.octets for one in requests]))
            return [self._reply(connection, one) for one in requests]
        except TimeoutError as error:
            self._hang_up()
            raise TimedOut(connection.gettimeout() or 0) from error
        except OSError as error:
            self._hang_up()
            raise ConnectionLost(f"the connection broke off: {error.strerror or error}") from error
        except BaseException:
            # An interrupt as well: the reply would be taken for that of the next command.
            self._hang_up()
            raise

    def _reply(self, connection: socket.socket, asked: Request) -> Reply:
        while (reply := self._parser.next_reply(asked.shape)) is None:
            octets = connection.recv(READ_OCTETS)
            if not octets:
                raise ConnectionLost("the server closed the connection")
            self._parser.feed(octets)
        return reply

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def connect(
    host: str = "127.0.0.1",
    port: int | None = None,
    username: str | None = None,
    password: str | None = None,
    *,
    tls: bool | ssl.SSLContext = False,
    connect_seconds: float = CONNECT_SECONDS,
    silence_seconds: float = SILENCE_SECONDS,
    pipelining: bool | None = None,
    max_lines: int = MAX_REPLY_LINES,
) -> Peep:
    """Return a connection to the PEEP server at `host`, logged in where a user name is given.

    The port is 2110, with TLS 2995, unless given. `tls=True` trusts what the system trusts; give a context
    of your own to trust others. A server that says nothing for `silence_seconds` while it owes a reply is
    given up. `pipelining=None` sends several questions at once to a server that is known to take them;
    `max_lines` bounds a reply. Raises `CannotConnect`, `WrongLogin`, and as the methods of `Peep` do.
    """
    if username is not None:
        request("a", username, password or "")  # a name that cannot be sent costs no connection
    connection = _connection(address(host, port, tls), connect_seconds)
    connection.settimeout(silence_seconds)
    peep = Peep(connection, pipelining=pipelining, max_lines=max_lines)
    try:
        if username is not None:
            peep.log_in(username, password or "")
    except BaseException:
        peep.close()
        raise
    return peep


def _connection(server: Address, seconds: float) -> socket.socket:
    try:
        connection = socket.create_connection((server.host, server.port), seconds)
    except OSError as error:
        raise server.refusal(error) from error
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server.tls.wrap_socket(connection, server_hostname=server.host) if server.tls else connection
    except OSError as error:
        connection.close()
        raise server.refusal(error) from error
