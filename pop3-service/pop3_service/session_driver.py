"""Carries out what a session intends, one thing at a time: logins, messages, removals, the end."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from functools import partial
from typing import Any, TypeVar

import structlog

from line_server.budget import Budget
from line_server.connection import LineConnection
from line_server.deadline import Deadline
from line_server.lines import OverlongLine
from pop3_service import retrieval
from pop3_service.context import Pop3Context
from pop3_service.login import Login, LoginEnd, OpenedMaildrop, note_refusal
from pop3_service.maildir import MaildirError, MessageFile
from pop3_service.protocol import replies
from pop3_service.protocol.commands import MAXIMUM_COMMAND_LINE_OCTETS
from pop3_service.protocol.intentions import (
    Answer,
    BeginScram,
    Challenge,
    FinishScram,
    HangUp,
    Intention,
    LogIn,
    OpenMaildrop,
    Outcome,
    RefuseClearText,
    RemoveMarked,
    SendMessage,
    StartTls,
    UpdateOutcome,
)
from pop3_service.protocol.maildrop import MaildropContents
from pop3_service.protocol.replies import LoginRefusal
from pop3_service.protocol.sasl import MAXIMUM_RESPONSE_LINE_OCTETS, SCRAM_SHA_256
from pop3_service.protocol.session import OutOfTurn, Session
from pop3_service.removal import remove_marked
from pop3_service.session_record import SessionRecord
from state_store.credentials.attempts import RefusalReason
from state_store.credentials.networks import network_of
from state_store.records import Login as LockRequest
from state_store.records import LoginOutcome
from state_store.user_notes import Origin

_Result = TypeVar("_Result")

log = structlog.get_logger()


class Activity(Enum):
    """What a session does; further commands wait until it is over."""

    NONE = auto()
    ANSWERING = auto()
    """A login, a removal, the opening of a message. It is never cut short; if the connection is lost
    meanwhile, the maildrop is given back when it has ended."""
    SENDING = auto()
    """A long message is being sent: no reply can be sent in the middle of it."""


# Looked up for every command: a global name costs less than an attribute of the class.
_NONE, _ANSWERING, _SENDING = Activity

_TIMED = (LoginRefusal, MaildropContents)
"""The outcomes that end a login whose time counts; a union would be made anew for every outcome."""


class SessionDriver:
    """Carries out a session's answers on its connection, from the greeting to the end.

    A login lifts the limit of `deadline`.
    """

    __slots__ = (
        "_budget",
        "_command_began",
        "_connection",
        "_context",
        "_deadline",
        "_dismissal",
        "_login",
        "_maildrop",
        "_task",
        "activity",
        "record",
        "session",
    )

    def __init__(
        self,
        context: Pop3Context,
        connection: LineConnection,
        session: Session,
        record: SessionRecord,
        deadline: Deadline,
    ) -> None:
        self.session = session
        self.record = record
        self.activity = _NONE
        self._context = context
        self._connection = connection
        self._budget: Budget | None = Budget(context.allowances, connection.address, network_of)
        """What the client may still ask for before login; None after it."""
        self._deadline = deadline
        self._login: Login | None = None
        """From the first attempt to log in to the one that succeeds."""
        self._maildrop: OpenedMaildrop | None = None
        self._task: asyncio.Task[None] | None = None  # the event loop itself keeps no strong reference
        self._dismissal: tuple[str, bytes] | None = None
        self._command_began = 0.0

    def receive(self, line: bytes | OverlongLine) -> None:
        """Answer a line, unless the commands before login are used up; record how long it takes."""
        began = self._command_began = time.perf_counter()
        if self._budget is not None and not self._may_go_on(self._budget, line):
            return
        self.answer(line)
        if self.activity is _NONE:  # else it takes longer than this turn of the event loop
            self._context.instance.command_latency.record(time.perf_counter() - began)

    def answer(self, line: bytes | OverlongLine) -> None:
        """Answer a line."""
        session = self.session
        answer = session.receive(line) if isinstance(line, bytes) else session.receive_overlong(line.head)
        if isinstance(answer, bytes):  # as nearly all are
            self._connection.send(answer)
        else:
            self._carry_out(answer)

    def _may_go_on(self, budget: Budget, line: bytes | OverlongLine) -> bool:
        """Take a line from before the login into account; return False when the session ends instead."""
        self.record.count_connection()
        if not budget.spend(len(line if isinstance(line, bytes) else line.head)):
            self.end("too many commands before login", replies.TOO_MUCH_BEFORE_LOGIN)
            return False
        self._connection.lines.max_line_octets = MAXIMUM_COMMAND_LINE_OCTETS  # a challenge is over
        return True

    def client_left(self) -> None:
        """Take note that the client is gone, or sends nothing more."""
        if self._login is not None:
            self._login.client_left()

    def failed(self, error: BaseException) -> None:
        """Log a bug, and end the session: with a fixed text, or in the middle of a message without one."""
        log.error("bug", session=self.session.session_id, exc_info=error)
        if self.activity is _SENDING:
            self.cut("bug")
        else:
            self.end("bug", replies.INTERNAL_ERROR)

    # The end

    def end(self, ending: str, reply: bytes = b"") -> None:
        """Send a last reply, and close the connection."""
        self.record.ending = ending
        # Closing a socket with unread input resets the connection: the reply would be lost.
        linger = ending != "quit" or self._connection.lines.pending_octets > 0
        self._connection.hang_up(reply, linger=linger)

    def cut(self, ending: str) -> None:
        """Close the connection without a reply."""
        self.record.ending = ending
        self._connection.abort()

    def dismiss(self, ending: str, reply: bytes) -> None:
        """End the session without UPDATE, for a reason of ours; a removal under way is finished."""
        output = self._connection.output
        if self.activity is _SENDING or output.unsent_octets():
            self.cut(ending)
        elif self.activity is _ANSWERING:
            self._dismissal = (ending, reply)  # once the work is done
        else:
            self.record.end_counting(output.octets_queued)
            self.end(ending, reply)
            # Given back now: a client that does not close its side must not keep others waiting (D25).
            self._give_back_maildrop()
            self.record.hide()

    def closed(self) -> None:
        """Take note that the connection is gone: give the maildrop back, at once or when the work is done."""
        self.client_left()
        if self.activity is not _ANSWERING:
            self._give_back_maildrop()

    def _give_back_maildrop(self) -> None:
        maildrop, self._maildrop = self._maildrop, None
        if maildrop is not None:
            maildrop.maildir.close()
            self._context.instance.release_maildrop(maildrop.username, self.session.session_id)

    # The session's answers

    def _carry_out(self, answer: Answer) -> None:
        match answer:
            case bytes():
                self._connection.send(answer)
            case SendMessage() if self._maildrop is not None:
                self._send_message(answer, self._maildrop)
            case RemoveMarked() if self._maildrop is not None:
                self._begin(_then(self._remove(answer, self._maildrop), partial(self._complete, answer)))
            case HangUp(reply, ending):
                self.end(ending, reply)
            case Challenge(line):
                self._connection.lines.max_line_octets = MAXIMUM_RESPONSE_LINE_OCTETS
                self._connection.send(line)
            case RefuseClearText(reply, username, mechanism):
                origin, reason = self._origin(mechanism), RefusalReason.TLS_WANTED
                note_refusal(
                    self._context.instance, username, reason, origin, session=self.session.session_id
                )
                self._connection.send(reply)
            case StartTls(reply) if self._context.tls is not None:
                self._connection.send(reply)
                self._connection.start_tls(self._context.tls())
            case LogIn() | OpenMaildrop() | BeginScram() | FinishScram():
                self._log_in(answer)
            case _:
                raise OutOfTurn(f"{type(answer).__name__} cannot be carried out now")

    def _complete(self, intention: Intention[Outcome], outcome: Outcome) -> None:
        if isinstance(outcome, _TIMED):
            seconds = time.perf_counter() - self._command_began
            self._context.instance.login_latency.record(seconds)
        self._carry_out(self.session.complete(intention, outcome))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._connection.hold()
        self.activity = _ANSWERING
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._task_ended)

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        error = task.exception() if not task.cancelled() else None
        if isinstance(error, Exception):
            self.failed(error)
        self._go_on()

    def _go_on(self) -> None:
        """Take the client's next command, or do what has become due during the work."""
        self._context.instance.command_latency.record(time.perf_counter() - self._command_began)
        self.activity = _NONE
        self._task = None
        if self._connection.is_lost:
            self._give_back_maildrop()
        elif self._dismissal is not None:
            self.dismiss(*self._dismissal)
        else:
            self._connection.release()

    # Logins

    def _log_in(self, intention: LogIn | OpenMaildrop | BeginScram | FinishScram) -> None:
        login = self._login or Login(self._context, self.session.session_id, self._connection.address)
        self._login = login
        if self._connection.is_at_end:
            login.client_left()
        match intention:
            case LogIn(username, password, mechanism):
                login.origin = self._origin(mechanism)
                request = login.remembered(username, password)
                if request is None:
                    end = login.by_password(username, password)
                    self._begin(_then(end, partial(self._login_ended, intention, login)))
                    return
                self._connection.hold()
                self.activity = _ANSWERING
                answered = partial(self._lock_answered, intention, login, request)
                self._context.instance.lock_maildrop(request).add_done_callback(answered)
            case OpenMaildrop(username):
                self._begin(_then(login.by_proof(username), partial(self._login_ended, intention, login)))
            case BeginScram(message):
                login.origin = self._origin(SCRAM_SHA_256)
                self._begin(_then(login.begin_scram(message), partial(self._complete, intention)))
            case FinishScram(message):
                self._begin(_then(login.finish_scram(message), partial(self._complete, intention)))

    def _lock_answered(
        self, intention: LogIn, login: Login, request: LockRequest, answer: "asyncio.Future[LoginOutcome]"
    ) -> None:
        try:
            end = login.locked(request, intention.password, answer)
            if not isinstance(end, OpenedMaildrop) and isinstance(end, Coroutine):  # an ABC: slow to ask
                self._begin(_then(end, partial(self._login_ended, intention, login)))
                return
            self._login_ended(intention, login, end)
        except Exception as error:
            self.failed(error)
        self._go_on()

    def _login_ended(self, intention: LogIn | OpenMaildrop, login: Login, end: LoginEnd) -> None:
        if isinstance(end, OpenedMaildrop):
            self._maildrop = end
            self._deadline.lift_limit()
            self._login = self._budget = None
            self._complete(intention, end.contents)
            if not self._connection.is_lost:
                self.record.count_login(login.origin, end.contents.count, end.contents.octets)
        else:
            self._complete(intention, end)

    def _origin(self, mechanism: str) -> Origin:
        return Origin(self._connection.address, self._connection.output.tls_version, mechanism)

    # Messages

    def _send_message(self, intention: SendMessage, maildrop: OpenedMaildrop) -> None:
        try:
            found = retrieval.cached(maildrop.maildir, intention)
        except MaildirError as error:
            self._refuse_message(intention, maildrop, error)
            return
        if isinstance(found, bytes):
            connection = self._connection
            self._carry_out(self.session.complete(intention, None))
            self.record.message_ends(connection.output.octets_queued + len(found))
            connection.send(found)
        else:
            self._begin(self._send_in_pieces(intention, maildrop, found))

    def _refuse_message(self, intention: SendMessage, maildrop: OpenedMaildrop, error: MaildirError) -> None:
        log.info("message unavailable", session=self.session.session_id, reason=str(error))
        fault = retrieval.fault_of(self._context, maildrop, error)
        self._carry_out(self.session.complete(intention, fault))

    async def _send_in_pieces(
        self, intention: SendMessage, maildrop: OpenedMaildrop, opened: MessageFile | None
    ) -> None:
        try:
            message = await retrieval.opened(self._context, maildrop, intention, opened)
        except MaildirError as error:
            self._refuse_message(intention, maildrop, error)
            return
        self.activity = _SENDING
        connection = self._connection
        try:
            self._carry_out(self.session.complete(intention, None))
            if intention.body_lines is None:
                self.record.message_begins(connection.output.octets_queued, intention.message.octets)
            last = await retrieval.send(connection, self._context, message)
            if intention.body_lines is None:
                self.record.message_ends(connection.output.octets_queued + len(last))
            connection.send(last)
        except ConnectionResetError:
            pass  # the client is gone
        except MaildirError as error:
            retrieval.fault_of(self._context, maildrop, error)
            log.warning("message cut short", session=self.session.session_id, reason=str(error))
            self.cut("message unreadable")
        finally:
            self._context.close(message.file)

    # Removal

    async def _remove(self, intention: RemoveMarked, maildrop: OpenedMaildrop) -> UpdateOutcome:
        context, session_id = self._context, self.session.session_id
        result = await context.disk.run(
            context.maildirs.lane(maildrop.maildir),
            remove_marked,
            maildrop.maildir,
            intention.messages,
            partial(context.instance.still_holds, maildrop.lease),
        )
        self.record.count_removed(result.removed)
        self._give_back_maildrop()
        if result.quota_fault:
            log.warning("maildirsize not kept true", session=session_id, reason=result.quota_fault)
        if result.failed or result.withheld:
            log.warning("not all removed", session=session_id, failed=result.failed, withheld=result.withheld)
        return result.outcome


async def _then(work: Coroutine[Any, Any, _Result], take: Callable[[_Result], None]) -> None:
    take(await work)
