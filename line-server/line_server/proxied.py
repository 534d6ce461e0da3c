"""Reads the PROXY header, then hands the transport to the real connection."""

import asyncio
from collections.abc import Callable
from typing import cast

from line_server.connection import LineConnection
from line_server.listener import plain_host
from line_server.proxy_header import ProxyHeader, ProxyHeaderError, ProxyHeaderReader, TrustedProxies

PROXY_HEADER_SECONDS = 5.0
"""How long a proxy may take to send its header: it has nothing to wait for."""


class ProxiedConnection(asyncio.Protocol):
    """Reads the PROXY header, then hands its transport to `connection`, which begins only then.

    Without a valid header `connection.turned_away` is called, and it never begins. A connection that the
    proxy opens for itself is usually a health check: its transport goes to a connection from `make_check`.
    """

    def __init__(
        self,
        connection: LineConnection,
        proxies: TrustedProxies,
        waiting: "set[ProxiedConnection]",
        make_check: Callable[[], LineConnection] | None = None,
    ) -> None:
        self._connection = connection
        self._proxies = proxies
        self._waiting = waiting
        self._make_check = make_check
        self._reader = ProxyHeaderReader()
        self._timer: asyncio.TimerHandle | None = None

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio)."""
        self._transport = cast(asyncio.Transport, transport)
        self._waiting.add(self)
        peer = transport.get_extra_info("peername")
        self._connection.address = plain_host(peer[0]) if peer else ""
        if self._proxies.trusts(self._connection.address):
            self._timer = asyncio.get_running_loop().call_later(PROXY_HEADER_SECONDS, self._late)
        else:
            self._turn_away("not a trusted proxy")

    def data_received(self, data: bytes) -> None:
        """Take octets from the network (asyncio)."""
        try:
            header = self._reader.feed(data)
        except ProxyHeaderError as error:
            self._turn_away(str(error))
        else:
            if header is not None:
                self._hand_over(header)

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        self._step_aside()

    # Inside

    def _hand_over(self, header: ProxyHeader) -> None:
        self._step_aside()
        if header.is_local and self._make_check is not None:
            self._connection = self._make_check()
        elif header.address is not None:
            self._connection.address = header.address
        self._transport.set_protocol(self._connection)
        self._connection.connection_made(self._transport)
        if self._reader.rest:
            self._connection.data_received(self._reader.rest)

    def _late(self) -> None:
        self._turn_away(f"no proxy header within {PROXY_HEADER_SECONDS:g} s")

    def _turn_away(self, reason: str) -> None:
        self._connection.turned_away(reason)
        self.abort()

    def _step_aside(self) -> None:
        # Otherwise the timer would keep a closed connection in memory until it fires.
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.discard(self)
