"""Listening sockets and their connections."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable

from line_server.connection import LineConnection
from line_server.descriptors import Reserve
from line_server.listener import BACKLOG
from line_server.listener_options import PLAIN, ListenerOptions
from line_server.proxied import ProxiedConnection
from line_server.proxy_header import TrustedProxies

ABORT_SECONDS = 1.0
"""How long dismissed connections may take to close before they are aborted."""

ACCEPTS_PER_TURN = 256
"""Connections that are accepted from one socket in one turn of the event loop: some 10 ms."""

ACCEPTORS = 4
"""Servers of the event loop on one port, over copies of its descriptor. uvloop accepts one connection a turn
for each, for a quarter of what `connect_accepted_socket` costs. With more of them a lone client would pay for
acceptors that find nothing."""

PATIENT_TURNS = 4
"""So many turns in a row leave whoever waits beyond the acceptors to the next turn: of a few clients who come
together each then costs a quarter. A longer queue is accepted at once."""

MakeConnection = Callable[[set[LineConnection], ListenerOptions], LineConnection]
"""Makes a connection that is in the set as long as it is open."""


class LineServer:
    """Accepts connections, and drains them at the end.

    Connections that a proxy opens for itself are made by `make_check`, if that is given. They are not in
    `connections` and are not drained, unless they move there. A client for which there is no descriptor gets
    `no_room`.
    """

    def __init__(
        self,
        make_connection: MakeConnection,
        make_check: MakeConnection | None = None,
        *,
        no_room: bytes = b"",
    ) -> None:
        self._reserve = Reserve(no_room)
        self._make_connection = make_connection
        self._make_check = make_check
        self._servers: list[asyncio.Server] = []
        self._arrivals: set[asyncio.Task[None]] = set()
        self._before_header: set[ProxiedConnection] = set()
        self._checks: set[LineConnection] = set()
        self.connections: set[LineConnection] = set()

    async def listen(self, sockets: list[socket.socket], options: ListenerOptions = PLAIN) -> None:
        """Accept connections on bound sockets, TCP or Unix, with these options."""
        loop = asyncio.get_running_loop()
        make = self._maker(options)
        for bound in sockets:
            is_unix = bound.family == socket.AF_UNIX
            create = loop.create_unix_server if is_unix else loop.create_server
            acceptors = 1 if is_unix else ACCEPTORS
            port = _Port(bound, make, acceptors, in_clear=options.tls is None)
            for own in [bound, *(bound.dup() for _ in range(acceptors - 1))]:
                server = await create(functools.partial(self._let_in, port), sock=own, backlog=BACKLOG)
                self._servers.append(server)

    def stop_listening(self) -> None:
        """Accept no more connections; those in the kernel's queue are reset, unless others have it."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def drain(self, seconds: float, dismiss: Callable[[LineConnection], None]) -> None:
        """Stop listening, give open connections up to `seconds` to end, then `dismiss` the rest."""
        self.stop_listening()
        for proxied in list(self._before_header):
            proxied.abort()
        for check in list(self._checks):
            check.abort()
        await self._all_gone(seconds)
        for connection in list(self.connections):
            dismiss(connection)
        await self._all_gone(ABORT_SECONDS)
        for connection in list(self.connections):
            connection.abort()
        await self._all_gone(ABORT_SECONDS)

    def _let_in(self, port: "_Port") -> asyncio.Protocol:
        """Return the protocol for a connection that the loop has accepted.

        It accepts ACCEPTORS connections a turn. If some turns have not emptied the kernel's queue we accept
        all that wait: on a busy loop turns are long, and the queue would overflow.
        """
        bound, in_clear = port.bound, port.in_clear
        is_last = bound.family != socket.AF_UNIX and self._reserve.is_next(bound)
        if port.has_a_long_queue():
            self._accept_waiting(bound, port.make, ACCEPTS_PER_TURN - port.acceptors, in_clear)
        return self._reserve.protocol(in_clear=in_clear) if is_last else port.make()

    def _accept_waiting(
        self, bound: socket.socket, make: Callable[[], asyncio.Protocol], number: int, in_clear: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        is_check = bound.family == socket.AF_UNIX  # health checks may have the last descriptors
        with contextlib.suppress(OSError):  # BlockingIOError: no more to accept
            for _ in range(number):
                accepted, _address = bound.accept()
                if not is_check and self._reserve.is_touched_by(accepted):
                    self._reserve.turn_away(accepted, in_clear=in_clear)
                    continue
                arrival = loop.create_task(self._arrive(make, accepted))
                self._arrivals.add(arrival)
                arrival.add_done_callback(self._arrivals.discard)

    async def _arrive(self, make: Callable[[], asyncio.Protocol], accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(make, accepted)
        except OSError:  # pragma: no cover - macOS, where sockets of clients that are gone have no options
            accepted.close()

    def _maker(self, options: ListenerOptions) -> Callable[[], asyncio.Protocol]:
        if options.proxies is not None:
            return functools.partial(self._proxied, options, options.proxies)
        return functools.partial(self._make_connection, self.connections, options)

    def _proxied(self, options: ListenerOptions, proxies: TrustedProxies) -> ProxiedConnection:
        connection = self._make_connection(self.connections, options)
        make_check = self._make_check and functools.partial(self._make_check, self._checks, options)
        return ProxiedConnection(connection, proxies, self._before_header, make_check)

    async def _all_gone(self, seconds: float) -> None:
        # Polled, once in a process's life: not worth a signal from every connection.
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self.connections and loop.time() < end:
            await asyncio.sleep(min(0.05, max(end - loop.time(), 0)))


class _Port:
    """One listening socket, and how the loop keeps up with it: which turns have used all its acceptors."""

    def __init__(
        self,
        bound: socket.socket,
        make: Callable[[], asyncio.Protocol],
        acceptors: int,
        *,
        in_clear: bool,
    ) -> None:
        self.bound = bound
        self.make = make
        self.acceptors = acceptors
        self.in_clear = in_clear
        self._loop = asyncio.get_running_loop()
        self._accepted = 0
        self._full_turns = 0
        self._is_counting = False

    def has_a_long_queue(self) -> bool:
        """Count a connection; return whether it is the turn's last, and the turns before were full too."""
        if not self._is_counting:
            self._is_counting = True
            self._loop.call_soon(self._begin_turn)
        self._accepted += 1
        return self._accepted == self.acceptors and self._full_turns >= PATIENT_TURNS

    def _begin_turn(self) -> None:
        self._is_counting = self._accepted >= self.acceptors
        self._full_turns = self._full_turns + 1 if self._is_counting else 0
        self._accepted = 0
        if self._is_counting:
            self._loop.call_soon(self._begin_turn)
