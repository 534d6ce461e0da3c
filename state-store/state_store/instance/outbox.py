"""What an instance has to report to the store and request of it, collected until the next exchange."""

import asyncio
import itertools
from collections.abc import Callable

from state_store.errors import StoreUnavailable
from state_store.latency import LatencyRecorder
from state_store.records import Deltas, Exchange, Login, LoginOutcome, SessionRow
from state_store.user_notes import UserNotes

ROW_SECONDS = 0.03
"""A session younger than this is not written to the store yet: most have ended by then."""

CHANGED_ROW_SECONDS = 1.0
"""How often a session that keeps changing is written again."""

CHANGED_ROWS = 500
"""The most changed sessions in one exchange: with more it would delay the logins in it."""

LATENCIES_SECONDS = 1.0
"""Latencies are reported at most so often: they are up to twenty counts more."""


class Outbox:
    """Counts, releases, session rows and logins of all connections of one instance.

    `fill` moves them into an exchange. When its answer is lost, `keep` puts back what must be reported again,
    the counts under the same sequence number; `confirm` forgets it.
    """

    def __init__(self, user_notes: UserNotes | None = None) -> None:
        self.deltas = Deltas()
        self.user_notes = UserNotes() if user_notes is None else user_notes
        self.command_latency = LatencyRecorder()
        self.login_latency = LatencyRecorder()
        self._latencies_due = 0.0
        self._sequence = 0
        self._number = 0
        self._confirmed_number = 0
        self._unconfirmed: Deltas | None = None
        self._unreported: list[Callable[[], None]] = []
        self._written: set[str] = set()
        self._sessions: dict[str, Callable[[], SessionRow]] = {}
        self._unwritten: dict[str, float] = {}
        self._changed: dict[str, float] = {}
        self._closed: list[str] = []
        self._releases: list[tuple[str, str]] = []
        self._withdrawn: list[tuple[str, str]] = []
        self._logins: list[tuple[Login, asyncio.Future[LoginOutcome]]] = []
        self._asked: list[tuple[Login, asyncio.Future[LoginOutcome]]] = []

    @property
    def has_lasting_work(self) -> bool:
        """Whether anything is to be reported that does not end with the lease anyway."""
        return bool(
            self._unreported or self.deltas or self.user_notes or self._unconfirmed or self._withdrawn
        )

    @property
    def has_work(self) -> bool:
        """Whether anything is to be reported or requested."""
        return bool(
            self.has_lasting_work or self._unwritten or self._closed or self._releases or self._logins
        )

    @property
    def has_changed_sessions(self) -> bool:
        """Whether sessions have changed since they were written."""
        return bool(self._changed)

    @property
    def noted(self) -> int:
        """A figure that grows with everything that is noted, until the next `fill`."""
        return len(self._unreported) + self.deltas.connections + len(self._logins) + len(self._releases)

    def report_later(self, report: Callable[[], None]) -> None:
        """Call `report` when the next exchange is filled: it adds to `deltas` and `user_notes`."""
        self._unreported.append(report)

    def open_session(self, session_id: str, row: Callable[[], SessionRow], now: float) -> None:
        """Note a new session, or one that has logged in; `row` returns its current row."""
        self._sessions[session_id] = row
        self._unwritten.setdefault(session_id, now)

    def change_session(self, session_id: str, now: float) -> None:
        """Note that an open session has changed since it was written."""
        if session_id in self._sessions:
            self._changed.setdefault(session_id, now)

    def close_session(self, session_id: str) -> None:
        """Note the end of a session; one that was never written needs no report."""
        self._sessions.pop(session_id, None)
        self._unwritten.pop(session_id, None)
        self._changed.pop(session_id, None)
        if session_id in self._written:
            self._written.discard(session_id)
            self._closed.append(session_id)

    def release(self, username: str, session_id: str) -> None:
        """Give back the lock of a maildrop."""
        self._releases.append((username, session_id))

    def withdraw(self, username: str, session_id: str) -> None:
        """Give back the lock of a maildrop, and with it the login delay that the login began."""
        self._withdrawn.append((username, session_id))

    def log_in(self, login: Login) -> "asyncio.Future[LoginOutcome]":
        """Return a future for the lock of a maildrop."""
        answer: asyncio.Future[LoginOutcome] = asyncio.get_running_loop().create_future()
        self._logins.append((login, answer))
        return answer

    def take_latencies(self) -> None:
        """Move the recorded latencies of commands and logins into `deltas`."""
        for name, recorder in (("command", self.command_latency), ("login", self.login_latency)):
            self.deltas.add(Deltas(latencies=recorder.take(name)))

    def fill(self, exchange: Exchange, now: float) -> None:
        """Move what is to be reported and requested into `exchange`."""
        unreported, self._unreported = self._unreported, []
        for report in unreported:
            report()
        if now >= self._latencies_due:
            self._latencies_due = now + LATENCIES_SECONDS
            self.take_latencies()
        exchange.session_rows = self._due_rows(now)  # first: making a row may add counts
        if self._unconfirmed is None:
            if self.user_notes:
                self.deltas.add_notes(self.user_notes.take())
            self._unconfirmed, self.deltas = self.deltas, Deltas()
            self._sequence += 1
        exchange.counts_sequence, exchange.deltas = self._sequence, self._unconfirmed
        self._number += 1
        exchange.exchange_number = self._number
        exchange.confirmed_number = self._confirmed_number
        exchange.releases, self._releases = self._releases, []
        exchange.withdrawn_logins, self._withdrawn = self._withdrawn, []
        exchange.closed_sessions, self._closed = self._closed, []
        self._asked, self._logins = self._logins, []
        exchange.logins = [login for login, _ in self._asked]

    def confirm(self, outcomes: list[LoginOutcome]) -> None:
        """Take the store's answer."""
        self._unconfirmed = None
        self._confirmed_number = self._number
        for (login, answer), outcome in zip(self._asked, outcomes, strict=True):
            if not answer.done():
                answer.set_result(outcome)
            elif outcome is LoginOutcome.OPENED:
                self.release(login.username, login.session_id)  # its client has gone meanwhile
        self._asked = []

    def keep(self, exchange: Exchange, now: float) -> None:
        """Take note that the answer was lost: logins fail, all else is reported again."""
        for login, answer in self._asked + self._logins:
            # It may have been carried out all the same.
            exchange.withdrawn_logins.append((login.username, login.session_id))
            if not answer.done():
                answer.set_exception(StoreUnavailable("no answer to a login"))
        self._asked, self._logins = [], []
        self._releases = exchange.releases + self._releases
        self._withdrawn = exchange.withdrawn_logins + self._withdrawn
        self._closed = exchange.closed_sessions + self._closed
        for row in exchange.session_rows:
            if row.session_id in self._sessions:
                self._unwritten.setdefault(row.session_id, now - ROW_SECONDS)
            elif row.session_id not in self._closed:
                self._closed.append(row.session_id)

    def start_over(self, *, counts_taken: bool) -> None:
        """Begin again under another instance id: locks and rows ended with the lease.

        Still to be reported are the counts that were not taken, and withdrawn logins: a login's delay
        outlives the lease.
        """
        if self._unconfirmed is not None and not counts_taken:
            self.deltas.add(self._unconfirmed)
        self._unconfirmed = None
        self._sequence = self._confirmed_number = 0
        self._releases.clear()
        self._closed.clear()
        self._written.clear()
        self._changed.clear()
        self._unwritten = dict.fromkeys(self._sessions, 0.0)

    def _due_rows(self, now: float) -> list[SessionRow]:
        rows = []
        for session_id, since in list(self._unwritten.items()):
            if since > now - ROW_SECONDS:
                break
            del self._unwritten[session_id]
            self._changed.pop(session_id, None)
            self._written.add(session_id)
            rows.append(self._sessions[session_id]())
        return rows + self._due_changed_rows(now)

    def _due_changed_rows(self, now: float) -> list[SessionRow]:
        due = []
        for session_id, since in itertools.islice(self._changed.items(), CHANGED_ROWS):
            if since > now - CHANGED_ROW_SECONDS:
                break
            due.append(session_id)
        for session_id in due:
            del self._changed[session_id]
        return [self._sessions[session_id]() for session_id in due]
