"""A connection that a trusted proxy opens for itself (LOCAL, PROXY version 2): a check, or a login.

Until it says USER or AUTH it appears in no counter, log or limit: a check must not change what it checks,
and a full house must not look like a sick one. Redis plays no part in it either, or all replicas would look
sick together. From USER or AUTH on it is a session like any other, with the proxy's own address.
"""

import sys
from collections.abc import Callable

from line_server.connection import LineConnection
from line_server.entrance import Entrance
from line_server.lines import OverlongLine
from pop3_service.connection import Pop3Connection
from pop3_service.context import Pop3Context
from pop3_service.protocol import replies

_LOGIN_KEYWORDS = (b"USER", b"AUTH")
_NOT_COUNTED = sys.maxsize


class LocalConnection(Pop3Connection):
    """Serves a proxy's own connection; among `sessions` once it is one.

    While `is_leaving`, since the process goes down, it is refused.
    """

    def __init__(
        self,
        context: Pop3Context,
        checks: set[LineConnection],
        entrance: Entrance,
        sessions: set[LineConnection],
        is_leaving: Callable[[], bool],
    ) -> None:
        super().__init__(context, checks, entrance)
        self._sessions = sessions
        self._is_leaving = is_leaving
        self._is_session = False

    def opened(self) -> None:
        """Greet, or refuse."""
        if self._is_leaving():
            self.hang_up(replies.GOING_DOWN, linger=True)
        else:
            self._greet()
            self._count.begin_at(_NOT_COUNTED)

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer a command; ask for a place of a session before the first one that begins a login."""
        assert self._session is not None, "no line is handed out before the greeting"
        if self._is_session:
            super().line_received(line)
        elif isinstance(line, bytes) and line.partition(b" ")[0].upper() in _LOGIN_KEYWORDS:
            self.lines.give_back(line)
            self._ask_for_slot()
        else:
            # Not as a session's command is answered: how long those take is counted.
            self._respond(self._session, line)

    def closed(self) -> None:
        """Give back what a session holds; a check holds nothing."""
        if self._is_session:
            super().closed()
        else:
            self._end_timers()

    def _admitted(self) -> None:
        self._is_session = True
        self._connections.discard(self)
        self._connections = self._sessions
        self._connections.add(self)
        self._count.begin_at(self.output.octets_queued)
        self._show_session()

    def _show_session(self) -> None:
        if self._is_session:
            super()._show_session()

    def _count_connection(self) -> None:
        if self._is_session:
            super()._count_connection()
