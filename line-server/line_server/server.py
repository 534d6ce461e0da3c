"""A set of listening sockets and the connections that came from them."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable

from line_server.connection import LineConnection
from line_server.descriptors import Reserve
from line_server.entrance import PLAIN, Entrance
from line_server.listener import BACKLOG, is_shared, take_new_clients, take_no_new_clients
from line_server.proxied import ProxiedConnection
from line_server.proxy_header import TrustedProxies

ABORT_SECONDS = 1.0
"""How long closed connections may take to be gone before they are cut off."""

HAND_OVER_SECONDS = 0.9
"""How long a shared port is kept when it is given up: longer than a handshake takes, and a little less
than the second after which a client repeats a SYN that got no answer."""

ACCEPTS_PER_TURN = 256
"""Clients that one listening socket lets in during one turn of the event loop: some 10 ms."""

MakeConnection = Callable[[set[LineConnection], Entrance], LineConnection]
"""Makes a connection that puts itself into the set for as long as it is open."""


class LineServer:
    """Accepts connections until told to stop, and sees the open ones to their end.

    What a proxy opens for itself, and for no client, is made by `make_check` where that is given: such
    connections are not among `connections`, and nobody waits for their end, unless they move there.
    `no_room` is said to clients for whom there is no descriptor.
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
        self._sockets: list[socket.socket] = []
        self._taken_over: set[socket.socket] = set()
        self._arrivals: set[asyncio.Task[None]] = set()
        self._before_header: set[ProxiedConnection] = set()
        self._checks: set[LineConnection] = set()
        self.connections: set[LineConnection] = set()

    async def listen(self, sockets: list[socket.socket], entrance: Entrance = PLAIN) -> None:
        """Accept connections on bound sockets, TCP or Unix; they come in through `entrance`."""
        loop = asyncio.get_running_loop()
        make = self._maker(entrance)
        for bound in sockets:
            take_new_clients(bound)  # a process before us may have left it to others
            create = loop.create_unix_server if bound.family == socket.AF_UNIX else loop.create_server
            let_in = functools.partial(self._let_in, bound, make, entrance.tls is None)
            server = await create(let_in, sock=bound, backlog=BACKLOG)
            self._servers.append(server)
            self._sockets.append(bound)

    def take_over(self, sockets: list[socket.socket], entrance: Entrance = PLAIN) -> None:
        """Accept also from sockets of another process, which does not, until `give_back`.

        Several may do so at once: whoever comes first has the client. To be called again now and then: the
        other may have begun to leave.
        """
        loop = asyncio.get_running_loop()
        for bound in sockets:
            take_new_clients(bound)
            if bound not in self._taken_over:
                make, in_clear = self._maker(entrance), entrance.tls is None
                loop.add_reader(bound, self._accept_waiting, bound, make, ACCEPTS_PER_TURN, in_clear)
                self._taken_over.add(bound)

    def give_back(self, sockets: list[socket.socket]) -> None:
        """Leave these to their own process again."""
        for bound in self._taken_over.intersection(sockets):
            asyncio.get_running_loop().remove_reader(bound)
            self._taken_over.remove(bound)

    def stop_listening(self) -> None:
        """Accept no further connection, at once: those that the kernel has in its queue are reset."""
        self.give_back(list(self._taken_over))
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._sockets.clear()

    async def drain(self, seconds: float, dismiss: Callable[[LineConnection], None]) -> None:
        """Stop listening, give open connections up to `seconds` to end, then `dismiss` the rest.

        Of these seconds a port that is shared takes up to `HAND_OVER_SECONDS`, in which whoever was dealt
        to us is still served, and who comes anew is left to those who share it.
        """
        seconds -= await self._hand_over_ports(min(seconds, HAND_OVER_SECONDS))
        self.stop_listening()
        for nobody in list(self._before_header):
            nobody.abort()
        for check in list(self._checks):
            check.abort()
        await self._all_gone(seconds)
        for connection in list(self.connections):
            dismiss(connection)
        await self._all_gone(ABORT_SECONDS)
        for connection in list(self.connections):
            connection.abort()
        await self._all_gone(ABORT_SECONDS)

    async def _hand_over_ports(self, seconds: float) -> float:
        """Leave new clients to those who share our ports, serve who is under way; return the time it took."""
        shared = [bound for bound in self._sockets if is_shared(bound)]
        if not shared or not seconds or not all(take_no_new_clients(bound) for bound in shared):
            return 0.0
        await asyncio.sleep(seconds)
        return seconds

    def _let_in(
        self, bound: socket.socket, make: Callable[[], asyncio.Protocol], in_clear: bool
    ) -> asyncio.Protocol:
        """Return the protocol of a client that the loop has accepted, and accept all who wait behind it.

        The loop's library accepts one a turn. The busier the loop is the longer its turns are: everybody
        would wait in the kernel's queue, while those who are in are served with ease, until it overflows.
        """
        is_last = bound.family != socket.AF_UNIX and self._reserve.is_next(bound)
        self._accept_waiting(bound, make, ACCEPTS_PER_TURN - 1, in_clear)
        return self._reserve.protocol(in_clear=in_clear) if is_last else make()

    def _accept_waiting(
        self, bound: socket.socket, make: Callable[[], asyncio.Protocol], number: int, in_clear: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        is_check = bound.family == socket.AF_UNIX  # whoever watches us may have one of the last descriptors
        with contextlib.suppress(OSError):  # BlockingIOError: nobody waits any more
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
        except OSError:  # gone already
            accepted.close()

    def _maker(self, entrance: Entrance) -> Callable[[], asyncio.Protocol]:
        if entrance.proxies is not None:
            return functools.partial(self._proxied, entrance, entrance.proxies)
        return functools.partial(self._make_connection, self.connections, entrance)

    def _proxied(self, entrance: Entrance, proxies: TrustedProxies) -> ProxiedConnection:
        connection = self._make_connection(self.connections, entrance)
        make_check = self._make_check and functools.partial(self._make_check, self._checks, entrance)
        return ProxiedConnection(connection, proxies, self._before_header, make_check)

    async def _all_gone(self, seconds: float) -> None:
        # Asked a few times a second, once in a process's life: not worth a signal from every connection.
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self.connections and loop.time() < end:
            await asyncio.sleep(min(0.05, max(end - loop.time(), 0)))
