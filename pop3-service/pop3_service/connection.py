"""One POP3 connection: admission, greeting, timers and the end. Commands go to its session's driver."""

import asyncio
import time
from collections.abc import Mapping

import structlog

from line_server.connection import LineConnection
from line_server.deadline import Deadline
from line_server.lines import OverlongLine
from line_server.listener_options import ListenerOptions
from pop3_service.command_lines import command_lines
from pop3_service.context import Pop3Context
from pop3_service.protocol import replies
from pop3_service.protocol.session import OutOfTurn, Session
from pop3_service.session_driver import Activity, SessionDriver
from pop3_service.session_record import SessionRecord
from state_store.credentials.attempts import RefusalReason
from state_store.records import AdmissionOutcome
from state_store.user_notes import Origin

LOGIN_SECONDS = 60.0
"""How long a client may stay without logging in, in all."""

UNENDED_LINE_SECONDS = 0.3
"""How long a client may be silent after `UTF8` without an end of line until it is obeyed: longer than a
network takes between two packets of one line, and shorter than a person waits."""

log = structlog.get_logger()


class Pop3Connection(LineConnection):
    """Serves one client from its admission to its end."""

    __slots__ = ("_began", "_context", "_deadline", "_driver", "_octets_at_last_expiry", "_unended")

    def __init__(
        self, context: Pop3Context, connections: set[LineConnection], options: ListenerOptions
    ) -> None:
        super().__init__(command_lines(), connections, options)
        self._context = context
        self._began = time.time()
        self._driver: SessionDriver | None = None
        """None before the greeting, and after the end."""
        self._deadline = Deadline(context.timers, self)
        self._octets_at_last_expiry = 0
        self._unended: asyncio.TimerHandle | None = None

    @property
    def session_id(self) -> str | None:
        """The id in the greeting; None before it."""
        return self._driver.session.session_id if self._driver is not None else None

    # Admission

    def opened(self) -> None:
        """Take a slot under the limit `c=`; greet, or refuse."""
        self._take_slot()

    def turned_away(self, reason: str) -> None:
        """Log a client whose PROXY header or TLS handshake was refused."""
        if self._driver is None:
            log.info("connection refused", address=self.address, reason=reason)
        else:
            self._driver.record.ending = reason
            self._driver.record.count_connection()

    def _take_slot(self) -> None:
        instance = self._context.instance
        ban = instance.networks.ban_on(self.address)
        if ban is not None:
            self._refuse_banned(ban)
        elif instance.admit_at_once():
            self._admitted()
        else:
            self.hold()
            instance.admit(self.address).add_done_callback(self._admission_answered)

    def _admission_answered(self, answer: "asyncio.Future[AdmissionOutcome]") -> None:
        instance = self._context.instance
        outcome = answer.result() if answer.exception() is None else None
        ban = instance.networks.ban_on(self.address)  # it may have come while this waited
        if outcome and (self.is_closing or ban is not None):  # it has never been a session
            instance.discharge(self.address)
        if self.is_closing:
            return
        if ban is not None:
            self._refuse_banned(ban)
        elif outcome:
            self._admitted()
            self.release()
        else:
            self._refuse(outcome)

    def _refuse(self, outcome: AdmissionOutcome | None) -> None:
        instance = self._context.instance
        if outcome is AdmissionOutcome.LIMIT_REACHED:
            reply = replies.too_many_connections(instance.max_connections)
        elif outcome is AdmissionOutcome.ADDRESS_LIMIT_REACHED:
            reply = replies.too_many_connections_of_address(instance.max_connections_per_address)
        else:
            reply = replies.STATE_STORE_UNREACHABLE
        reason = outcome.value if outcome is not None else "state store away"
        log.info("connection refused", address=self.address, reason=reason)
        if outcome is not None:
            instance.count_refusal("", RefusalReason.CONNECTION_LIMIT, Origin(self.address))
        self.hang_up(reply, linger=True)

    def _refuse_banned(self, reason: str) -> None:
        self._context.instance.count_refusal("", RefusalReason.BANNED, Origin(self.address))
        log.info("connection refused", address=self.address, reason=RefusalReason.BANNED.value)
        self.hang_up(replies.banned(reason), linger=True)

    def _admitted(self) -> None:
        driver, greeting = self._new_session()
        driver.record.begin(len(greeting))
        self.send(greeting)

    def _new_session(self) -> tuple[SessionDriver, bytes]:
        """Begin a session, and its timers; return it, and the greeting that is to be sent."""
        instance = self._context.instance
        session = Session(
            instance.new_session_id(), self._context.policy, is_encrypted=self.output.channel is not None
        )
        record = SessionRecord(instance, session, self, self._began)
        self._driver = SessionDriver(self._context, self, session, record, self._deadline)
        self._deadline.expire_within(LOGIN_SECONDS)
        self.timeout_changed()
        return self._driver, session.greeting()

    # Lines

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer a command."""
        driver = self._driver
        if driver is None:
            raise OutOfTurn("a line before the greeting")
        driver.receive(line)

    def line_unfinished(self) -> None:
        """Await the rest of the line; UTF8 without an end is obeyed when its client falls silent (D43)."""
        self._stop_ending_line()
        if (
            self.lines.unfinished == b"UTF8"
            and self._driver is not None
            and self._driver.session.may_say_utf8
        ):
            loop = asyncio.get_running_loop()
            self._unended = loop.call_later(UNENDED_LINE_SECONDS, self._end_unended)

    def _end_unended(self) -> None:
        self._unended = None
        if self.lines.unfinished == b"UTF8":
            self.end_line()

    def _stop_ending_line(self) -> None:
        if self._unended is not None:
            self._unended.cancel()
            self._unended = None

    def runaway_received(self) -> None:
        """End the session of a client that sends no line ends."""
        if self._driver is not None:
            self._driver.record.count_connection()
            self._driver.end("line without end", replies.LINE_TOO_LONG)

    # Timers

    def sent(self) -> None:
        """Count what the kernel has taken; while it takes something the client is not idle."""
        if self._driver is not None:
            self._deadline.touch()
            self._driver.record.sent(self.output.octets_sent)

    def timeout_changed(self) -> None:
        """Obey a new `t=`."""
        if self._driver is not None and not self.is_closing:
            self._deadline.allow(self._context.instance.settings.timeout_seconds or None)

    def expired(self) -> None:
        """Close an idle connection without a word and without UPDATE (RFC 1939, section 3)."""
        if self._driver is None:
            return
        if self._deadline.is_at_limit:
            self._driver.cut(f"not logged in within {LOGIN_SECONDS:g} s")
            return
        unsent_octets = self.output.unsent_octets()
        octets_taken = self.output.octets_written - unsent_octets
        is_slow_but_reading = unsent_octets and octets_taken != self._octets_at_last_expiry
        self._octets_at_last_expiry = octets_taken
        if is_slow_but_reading or self._driver.activity is Activity.ANSWERING:
            self._deadline.touch()
            self.timeout_changed()
        else:
            self._driver.cut("idle")

    # The end

    def obey_refusals(self, suspended: Mapping[str, str]) -> None:
        """End a session from a network that is banned now, or whose id is among the `suspended` ones."""
        if self._driver is None:
            return  # not opened, or waiting for its slot: the ban is looked up then
        ban = self._context.instance.networks.ban_on(self.address)
        reason = suspended.get(self._driver.session.session_id)
        if ban is not None:
            self.dismiss("banned", replies.banned(ban))
        elif reason is not None:
            self.dismiss("suspended", replies.suspended(reason))

    def dismiss(self, ending: str, reply: bytes) -> None:
        """End the session without UPDATE, for a reason of ours; a removal under way is finished."""
        if self._driver is None:
            self.hang_up(reply, linger=True)
        else:
            self._driver.dismiss(ending, reply)

    def failed(self, error: Exception) -> None:
        """Log a bug, and end the session."""
        if self._driver is not None:
            self._driver.failed(error)
        else:
            log.error("bug", exc_info=error)

    def eof_received(self) -> bool:
        """Take note that the client sends nothing more: its login no longer waits for an allowance (D45)."""
        if self._driver is not None:
            self._driver.client_left()
        return super().eof_received()

    def closed(self) -> None:
        """Give back what the connection held, and log its end."""
        self._deadline.end()
        self._stop_ending_line()
        driver, self._driver = self._driver, None
        if driver is None:
            return  # not admitted: an answer that is still due finds the connection closed
        driver.closed()
        if driver.record.has_begun:
            self._context.instance.discharge(self.address)
            driver.record.hide()
            driver.record.log_end()
