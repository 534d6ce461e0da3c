"""The blocking client: one socket, for one thread at a time."""

import functools
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Concatenate, ParamSpec, Self, TypeVar

from peep_client.protocol import operations
from peep_client.protocol.commands import Request, request
from peep_client.protocol.errors import ConnectionLost, NotPeep, PeepError
from peep_client.protocol.operations import Dialogue, Operation
from peep_client.protocol.replies import MAX_REPLY_LINES, Reply, ReplyParser
from peep_client.transport import (
    CONNECT_SECONDS,
    QUIT_SECONDS,
    READ_OCTETS,
    SILENCE_SECONDS,
    Address,
    address,
    hanging_up_on_failure,
)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _blocking(
    operation: Callable[Concatenate[Dialogue, _Arguments], Operation[_Result]],
) -> Callable[Concatenate["Peep", _Arguments], _Result]:
    """Return the method that carries out `operation` and returns its result."""

    def run(self: "Peep", /, *arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        return self._do(operation(self._dialogue, *arguments, **options))

    functools.update_wrapper(run, operation)
    return run


class Peep:
    """A connection to the PEEP server at `host`, for one thread at a time; logged in if `username` is given.

    `port` defaults to 2110, inside TLS to 2995. `tls=True` trusts the system's certificates; pass a context
    to trust others. A server that owes a reply and sends nothing for `silence_seconds` raises `TimedOut`.
    `pipelining=None` sends several requests at once to servers known to take them; `max_lines` bounds a
    reply. Raises `CannotConnect`, `WrongLogin`, and what the methods raise: `NegativeReply` if the server
    refuses; `ConnectionLost`, `TimedOut` and `NotPeep`, which end the connection.
    """

    def __init__(
        self,
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
    ) -> None:
        if username is not None:
            request("a", username, password or "")  # a name that cannot be sent costs no connection
        self._silence_seconds = silence_seconds
        self._dialogue = Dialogue(pipelining)
        self._parser = ReplyParser(max_lines)
        self._connection: socket.socket | None = _connection(address(host, port, tls), connect_seconds)
        self._connection.settimeout(silence_seconds)
        if username is not None:
            try:
                self.log_in(username, password or "")
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether the connection has neither been closed nor been lost."""
        return self._connection is not None

    def close(self) -> None:
        """Send `q` and close; closing twice does nothing."""
        if self._connection is None:
            return
        self._connection.settimeout(QUIT_SECONDS)
        with suppress(PeepError):
            self._do(operations.end())
        self._hang_up()

    log_in = _blocking(operations.log_in)
    capabilities = _blocking(operations.capabilities)
    command = _blocking(operations.command)
    counters = _blocking(operations.counters)
    settings = _blocking(operations.settings)
    users = _blocking(operations.users)
    add_user = _blocking(operations.add_user)
    remove_user = _blocking(operations.remove_user)
    set_password = _blocking(operations.set_password)
    max_connections = _blocking(operations.max_connections)
    set_max_connections = _blocking(operations.set_max_connections)
    timeout = _blocking(operations.timeout)
    set_timeout = _blocking(operations.set_timeout)
    mail_directory = _blocking(operations.mail_directory)
    set_mail_directory = _blocking(operations.set_mail_directory)
    logged_in_users = _blocking(operations.logged_in_users)
    sessions = _blocking(operations.sessions)
    close_session = _blocking(operations.close_session)
    slow_downs = _blocking(operations.slow_downs)
    moves = _blocking(operations.moves)
    moved_users = _blocking(operations.moved_users)
    lift_slow_down = _blocking(operations.lift_slow_down)
    version = _blocking(operations.version)

    def _do(self, operation: Operation[_Result]) -> _Result:
        with hanging_up_on_failure(self._hang_up, self._silence_seconds):
            try:
                requests = next(operation)
                while True:
                    requests = operation.send(self._exchange(requests))
            except StopIteration as end:
                result: _Result = end.value
                return result

    def _exchange(self, requests: Sequence[Request]) -> list[Reply]:
        if self._connection is None:
            raise ConnectionLost("the connection is closed")
        if self._parser.has_octets:
            raise NotPeep("the server sent more than was asked for")
        # One write: simple servers take one command a read.
        self._connection.sendall(b"".join([one.octets for one in requests]))
        return [self._reply(self._connection, one) for one in requests]

    def _reply(self, connection: socket.socket, sent: Request) -> Reply:
        while (reply := self._parser.next_reply(sent.shape)) is None:
            octets = connection.recv(READ_OCTETS)
            if not octets:
                raise ConnectionLost("the server closed the connection")
            self._parser.feed(octets)
        return reply

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


connect = Peep
"""Reads better where a connection is made."""


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
