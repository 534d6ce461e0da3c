"""A connection that a trusted proxy opens for itself (LOCAL, PROXY version 2): a check, or a login (D44).

Until it says USER or AUTH it appears in no counter, log or limit: a check must not change what it checks,
and must not fail because all connections are taken. Redis plays no part in it either, or the checks of all
replicas would fail together. From USER or AUTH on it is a session like any other, under the proxy's own
address.
"""

from collections.abc import Callable

from line_server.connection import LineConnection
from line_server.lines import OverlongLine
from line_server.listener_options import ListenerOptions
from pop3_service.connection import Pop3Connection
from pop3_service.context import Pop3Context
from pop3_service.protocol import replies

_LOGIN_KEYWORDS = (b"USER", b"AUTH")


class LocalConnection(Pop3Connection):
    """Serves a proxy's own connection; among `sessions` once it is one.

    While `is_leaving`, since the process goes down, it is refused.
    """

    __slots__ = ("_is_leaving", "_sessions")

    def __init__(
        self,
        context: Pop3Context,
        checks: set[LineConnection],
        options: ListenerOptions,
        sessions: set[LineConnection],
        is_leaving: Callable[[], bool],
    ) -> None:
        super().__init__(context, checks, options)
        self._sessions = sessions
        self._is_leaving = is_leaving

    def opened(self) -> None:
        """Greet, or refuse."""
        if self._is_leaving():
            self.hang_up(replies.GOING_DOWN, linger=True)
        else:
            _, greeting = self._new_session()
            self.send(greeting)

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer a command; take a session's slot before the first one that begins a login."""
        if self._driver is None or self._driver.record.has_begun:
            super().line_received(line)
        elif isinstance(line, bytes) and line.partition(b" ")[0].upper() in _LOGIN_KEYWORDS:
            self.lines.give_back(line)
            self._take_slot()
        else:
            self._driver.answer(line)

    def _admitted(self) -> None:
        self._connections.discard(self)
        self._connections = self._sessions
        self._connections.add(self)
        if self._driver is not None:
            self._driver.record.begin(self.output.octets_queued)
