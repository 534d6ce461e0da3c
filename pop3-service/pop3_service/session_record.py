"""What a session has counted (P14), and the row that operators see of it."""

import sys
import time
from collections import deque
from functools import partial

import structlog

from line_server.connection import LineConnection
from pop3_service.protocol.session import Session
from service_runtime.frequent_event import FrequentEvent
from state_store.instance.live_instance import LiveInstance
from state_store.records import SessionRow
from state_store.user_notes import Origin

_NEVER = sys.maxsize

log = structlog.get_logger()
_ended = FrequentEvent("session ended")


class SessionRecord:
    """Counts octets and messages as the kernel takes them, and shows the session to operators.

    Positions are octets from the connection's first one. Only replies to commands count: they lie after the
    greeting, and before a last word that answers none. Before `begin` nothing is counted or shown.
    """

    __slots__ = (
        "_active_at",
        "_began",
        "_connection",
        "_counted",
        "_end",
        "_instance",
        "_is_reported",
        "_is_row_current",
        "_message",
        "_message_ends",
        "_reported_messages",
        "_reported_octets",
        "_session",
        "ending",
        "is_counted",
        "octets",
        "removed",
        "retrieved",
    )

    def __init__(
        self, instance: LiveInstance, session: Session, connection: LineConnection, began: float
    ) -> None:
        self.ending = "client gone"
        self.octets = self.retrieved = self.removed = 0
        self._instance = instance
        self._session = session
        self._connection = connection
        self._began = began
        self._counted, self._end = _NEVER, _NEVER
        self._reported_octets = self._reported_messages = 0
        """What the instance knows of."""
        self._is_reported = True
        """Whether these are all."""
        self._message: tuple[int, int] = (0, 0)
        """Where a message begins that is sent in pieces, and its octets."""
        self._message_ends: deque[int] | None = None
        self.is_counted = False
        """Whether the client has sent a line or stayed: until then it may be a probe of the port."""
        self._is_row_current = False
        """Whether the store's row of the session shows its present figures."""
        self._active_at = began

    @property
    def has_begun(self) -> bool:
        """Whether the session is counted and shown."""
        return self._counted != _NEVER

    def begin(self, position: int) -> None:
        """Count from `position` on, and show the session."""
        self._counted = position
        self.show()

    def end_counting(self, position: int) -> None:
        """Count nothing from `position` on."""
        self._end = position

    def message_begins(self, position: int, octets: int) -> None:
        """Show the way of a message of so many octets, which begins at `position`."""
        self._message = (position, octets)

    def message_ends(self, position: int) -> None:
        """Count a retrieved message once everything before `position` has been taken."""
        if self._message_ends is None:  # most sessions ask for new mail, and find none
            self._message_ends = deque()
        self._message_ends.append(position)

    def sent(self, position: int) -> None:
        """Take note that the kernel has taken everything before `position`."""
        if self._is_row_current:
            self._is_row_current = False
            self._instance.session_changed(self._session.session_id)
        if position > self._end:
            position = self._end
        if position <= self._counted:
            return
        self.octets += position - self._counted
        self._counted = position
        ends = self._message_ends
        while ends and ends[0] <= position:
            ends.popleft()
            self.retrieved += 1
        if self._is_reported:
            self._is_reported = False
            self._instance.will_report(self._report)

    def count_connection(self) -> None:
        """Count the connection once, if the session has begun."""
        if not self.is_counted and self.has_begun:
            self.is_counted = True
            self._instance.deltas.connections += 1

    def count_login(self, origin: Origin, messages: int, octets: int) -> None:
        """Count a login to a maildrop of so many messages and octets, and show the user's name."""
        self._instance.deltas.logins += 1
        self._instance.user_notes.login(self._session.username or "", origin, messages, octets)
        self.show()

    def count_removed(self, messages: int) -> None:
        """Count messages whose files are gone."""
        self.removed = messages
        self._instance.deltas.removed_emails += messages
        self._instance.counted()

    def show(self) -> None:
        """Show the session to operators as it is now."""
        self._instance.session_opened(self._session.session_id, self)

    def hide(self) -> None:
        """Show the session no longer."""
        self._instance.session_closed(self._session.session_id)

    def log_end(self) -> None:
        """Log the session's end with its figures; that of a port probe at debug."""
        write = _ended.info if self.is_counted else partial(log.debug, "session ended")
        write(
            session=self._session.session_id,
            user=self._session.username,
            address=self._connection.address,
            tls=self._connection.output.tls_version or None,
            ending=self.ending,
            octets=self.octets,
            retrieved=self.retrieved,
            removed=self.removed,
            seconds=round(time.time() - self._began, 3),
        )

    def _report(self) -> None:
        self._is_reported = True
        octets, messages = self.octets - self._reported_octets, self.retrieved - self._reported_messages
        self._reported_octets, self._reported_messages = self.octets, self.retrieved
        deltas = self._instance.deltas
        deltas.retrieved_bytes += octets
        deltas.retrieved_emails += messages
        # A login waits for an exchange: what came before it is nobody's, and its reply is the user's already.
        self._instance.user_notes.traffic(self._session.username or "", octets, messages)

    # The record itself is what the instance calls: ten thousand bound methods would be kept beside it.
    def __call__(self) -> SessionRow:
        """Return the row that operators see, as the session is now."""
        if not self._is_row_current:  # else it is written again, but nothing has happened
            self._active_at = time.time()
        self._is_row_current = True
        self.count_connection()
        start, octets = self._message
        sent = self._counted - start
        if sent >= octets:
            octets = sent = 0
        return SessionRow(
            self._session.session_id,
            self._instance.instance_id,
            self._session.username,
            self._connection.address,
            self._began,
            self._connection.output.tls_version,
            self.octets,
            self.retrieved,
            self._session.marked_count,
            self._active_at,
            octets,
            max(0, sent),
        )
