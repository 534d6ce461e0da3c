"""One POP3 connection: the socket, the session, and what has to be done between a command and its reply."""

import asyncio
import functools
import time
from collections.abc import Coroutine
from typing import Any

import structlog

from line_server.budget import Budget
from line_server.connection import LineConnection
from line_server.deadline import Deadline
from line_server.entrance import Entrance
from line_server.lines import OverlongLine
from pop3_service.command_lines import command_lines
from pop3_service.context import Pop3Context
from pop3_service.login import (
    LoggedIn,
    Proof,
    log_in,
    open_at_once,
    open_maildrop,
    prove,
    remembered_login,
)
from pop3_service.maildir import MaildirError, MaildirUnreadable, MessageFile, MessageUnreadable
from pop3_service.protocol import replies
from pop3_service.protocol.commands import MAXIMUM_COMMAND_LINE_OCTETS
from pop3_service.protocol.intentions import (
    BeginScram,
    Challenge,
    FinishScram,
    HangUp,
    Intention,
    LogIn,
    OpenMaildrop,
    RemoveMarked,
    SendMessage,
    StartTls,
)
from pop3_service.protocol.replies import LoginRefusal, MessageFault
from pop3_service.protocol.sasl import MAXIMUM_RESPONSE_LINE_OCTETS
from pop3_service.protocol.session import Session
from pop3_service.removal import Removed, remove_marked
from pop3_service.retrieval import deliver, open_and_read, read, whole_if_cached
from pop3_service.session_record import ReplyCount
from state_store.credentials.networks import network_of
from state_store.credentials.presence import Presence
from state_store.credentials.scram import ScramExchange, ScramMalformed
from state_store.errors import StoreUnavailable
from state_store.records import AdmissionOutcome, Login, LoginOutcome, SessionRow

LOGIN_SECONDS = 60.0
"""How long a client may stay without logging in, in all."""

UNENDED_LINE_SECONDS = 0.3
"""How long a client may be silent after `UTF8` without an end of line before that is taken for one: longer
than a network takes between two packets of one line, and shorter than a person waits."""

log = structlog.get_logger()


class Pop3Connection(LineConnection):
    """Serves one client from its admission to its end.

    Work that has to wait (a login, a long message, a removal) is one task at a time; the client's
    further commands wait for it. A login or a removal is never cut short: when the client is gone
    meanwhile, its end gives the maildrop back.
    """

    def __init__(self, context: Pop3Context, connections: set[LineConnection], entrance: Entrance) -> None:
        super().__init__(command_lines(), connections, entrance)
        self._context = context
        self._instance = context.instance
        self._session: Session | None = None
        self._budget: Budget | None = None
        """What may still be asked for before login; None after it."""
        self._scram: ScramExchange | None = None
        self._proof: Proof | None = None
        self._login: LoggedIn | None = None
        self._presence: Presence | None = None
        """While a password is checked: whether the client still waits for the answer."""
        self._count = ReplyCount(context.instance)
        self._removed = 0
        self._began = time.time()
        self._ending = "client gone"
        self._work: asyncio.Future[Any] | None = None
        self._is_delivering = False
        self._dismissal: tuple[str, bytes] | None = None
        self._octets_at_last_look = 0
        self._is_counted = False
        """Whether somebody is there who speaks or stays: until then it may be a probe of the port."""
        self._is_row_current = False
        """Whether what operators see of the session is as it is."""
        self._command_began = 0.0
        self._idle = Deadline(asyncio.get_running_loop(), self._idle_expired)
        self._login_timer: asyncio.TimerHandle | None = None
        self._unended: asyncio.TimerHandle | None = None

    @property
    def session_id(self) -> str | None:
        """The id that the greeting told; None before it."""
        return self._session.session_id if self._session is not None else None

    # From the first octet to the last

    def opened(self) -> None:
        """Ask for a slot under the limit `c=`; greet, or refuse."""
        self._ask_for_slot()

    def _ask_for_slot(self) -> None:
        if self._instance.admit_at_once():
            self._admitted()
        else:
            self.hold()
            self._instance.admit(self.address).add_done_callback(self._admission_answered)

    def turned_away(self, reason: str) -> None:
        """Log a client that did not get as far as its first line."""
        self._ending = reason
        if self._session is None:
            log.info("connection refused", address=self.address, reason=reason)
        else:
            self._count_connection()

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Hand a command to the session and do what it says."""
        assert self._session is not None, "no line is handed out before the greeting"
        began = self._command_began = time.perf_counter()
        if not self._is_counted:
            self._count_connection()
        if self._budget is not None and not self._budget.spend(
            len(line if isinstance(line, bytes) else line.head)
        ):
            self._end("too many commands before login", replies.TOO_MUCH_BEFORE_LOGIN)
            return
        self.lines.max_line_octets = MAXIMUM_COMMAND_LINE_OCTETS
        self._respond(self._session, line)
        if self._work is None:  # else it takes longer than this turn of the event loop
            self._instance.command_latency.record(time.perf_counter() - began)

    def _respond(self, session: Session, line: bytes | OverlongLine) -> None:
        answer = session.receive(line) if isinstance(line, bytes) else session.receive_overlong(line.head)
        if isinstance(answer, bytes):
            self.send(answer)
        else:
            self._carry_out(answer)

    def line_unfinished(self) -> None:
        """Await the rest of the line; but UTF8 without an end is obeyed when its client falls silent.

        Evolution 3.46 sends that when CAPA offers UTF8, and waits for the reply.
        """
        self._forget_unended()
        assert self._session is not None, "no line begins before the greeting"
        if self.lines.unfinished == b"UTF8" and self._session.may_say_utf8:
            loop = asyncio.get_running_loop()
            self._unended = loop.call_later(UNENDED_LINE_SECONDS, self._end_unended)

    def _end_unended(self) -> None:
        self._unended = None
        if self.lines.unfinished == b"UTF8":
            self.end_line()

    def _forget_unended(self) -> None:
        if self._unended is not None:
            self._unended.cancel()
            self._unended = None

    def runaway_received(self) -> None:
        """End a session whose client sends no line at all."""
        self._count_connection()
        self._end("line without end", replies.LINE_TOO_LONG)

    def failed(self, error: Exception) -> None:
        """Log a bug; the client gets a fixed text, or a cut inside of a message."""
        log.error("bug", session=self.session_id, exc_info=error)
        if self._is_delivering:
            self._cut("bug")
        else:
            self._end("bug", replies.INTERNAL_ERROR)

    def sent(self) -> None:
        """Count what the kernel has taken; as long as it takes something the client is not idle."""
        if self._session is not None:
            self._idle.touch()
            self._count.taken(self.output.octets_sent)
            if self._is_row_current:
                self._is_row_current = False
                self._instance.session_changed(self._session.session_id)

    def eof_received(self) -> bool:
        """Take note that the client waits no longer for an allowance to be refused a password."""
        if self._presence is not None:
            self._presence.leave()
        return super().eof_received()

    def closed(self) -> None:
        """Give back whatever the connection held."""
        if self._presence is not None:
            self._presence.leave()
        self._end_timers()
        if self._session is None:
            return  # not admitted; where that is still being asked, the answer finds us gone
        self._instance.discharge(self.address)
        self._instance.session_closed(self._session.session_id)
        if self._work is None or self._is_delivering:
            self._give_back_maildrop()
        tell = log.info if self._is_counted else log.debug
        tell(
            "session ended",
            session=self._session.session_id,
            user=self._session.username,
            address=self.address,
            tls=self.output.tls_version or None,
            ending=self._ending,
            octets=self._count.octets,
            retrieved=self._count.retrieved,
            removed=self._removed,
            seconds=round(time.time() - self._began, 3),
        )

    def _end_timers(self) -> None:
        self._idle.end()
        self._forget_unended()
        if self._login_timer is not None:
            self._login_timer.cancel()

    def timeout_changed(self) -> None:
        """Obey a new `t=`."""
        if self._session is not None and not self.is_closing:
            self._idle.allow(self._instance.settings.timeout_seconds or None)

    def dismiss(self, ending: str, reply: bytes) -> None:
        """End the session without UPDATE, for a reason of ours; a removal under way comes to its end."""
        if self._is_delivering or self.output.unsent_octets():
            self._cut(ending)  # in the middle of a message there is no place for a reply
        elif self._work is not None:
            self._dismissal = (ending, reply)  # once the work is done
        else:
            self._count.end_at(self.output.octets_queued)
            self._end(ending, reply)
            # A client that does not go shall hold up nobody.
            self._give_back_maildrop()
            if self._session is not None:
                self._instance.session_closed(self._session.session_id)

    # Admission

    def _admission_answered(self, answer: "asyncio.Future[AdmissionOutcome]") -> None:
        outcome = answer.result() if answer.exception() is None else None
        if self.is_closing:  # gone, or dismissed meanwhile: it has never been a session
            if outcome:
                self._instance.discharge(self.address)
        elif outcome:
            self._admitted()
            self.release()
        else:
            self._refuse(outcome)

    def _refuse(self, outcome: AdmissionOutcome | None) -> None:
        instance = self._instance
        if outcome is AdmissionOutcome.LIMIT_REACHED:
            reply = replies.too_many_connections(instance.max_connections)
        elif outcome is AdmissionOutcome.ADDRESS_LIMIT_REACHED:
            reply = replies.too_many_connections_of_address(instance.max_connections_per_address)
        else:
            reply = replies.STATE_STORE_UNREACHABLE
        reason = outcome.value if outcome is not None else "state store away"
        log.info("connection refused", address=self.address, reason=reason)
        self.hang_up(reply, linger=True)

    def _admitted(self) -> None:
        self._greet()

    def _greet(self) -> None:
        session = self._session = Session(
            self._instance.new_session_id(),
            self._context.policy,
            is_encrypted=self.output.channel is not None,
        )
        self._budget = Budget(self._context.allowances, self.address, network_of)
        greeting = session.greeting()
        self._count.begin_at(len(greeting))
        self._show_session()
        self._idle.allow(self._instance.settings.timeout_seconds or None)
        self._login_timer = asyncio.get_running_loop().call_later(LOGIN_SECONDS, self._login_expired)
        self.send(greeting)

    def _count_connection(self) -> None:
        """Count the connection in `hc?`; the end of one that never is counted is logged at debug only."""
        if not self._is_counted:
            self._is_counted = True
            self._instance.deltas.connections += 1

    def _show_session(self) -> None:
        assert self._session is not None
        self._instance.session_opened(self._session.session_id, self._row)

    def _row(self) -> SessionRow:
        session = self._session
        assert session is not None
        self._is_row_current = True
        self._count_connection()
        return SessionRow(
            session.session_id,
            self._instance.instance_id,
            session.username,
            self.address,
            self._began,
            self.output.tls_version or "",
            self._count.octets,
            self._count.retrieved,
            session.marked_count,
        )

    # What the session wants done

    def _carry_out(self, intention: Intention) -> None:
        match intention:
            case SendMessage():
                self._send_message(intention)
            case HangUp(reply):
                self._end("quit" if reply is replies.SIGNING_OFF else "not a POP3 client", reply)
            case LogIn(username, password):
                self._check_in(username, password)
            case RemoveMarked():
                self._begin(self._remove(intention))
            case Challenge():
                self._send_challenge(intention)
            case StartTls(reply):
                self._start_tls(reply)
            case BeginScram(message):
                self._begin(self._begin_scram(message))
            case FinishScram(message):
                self._begin(self._finish_scram(message))
            case OpenMaildrop():
                assert self._proof is not None
                proof, self._proof = self._proof, None
                self._begin(self._log_in(proof.username, proof))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self.hold()
        self._work = asyncio.get_running_loop().create_task(work)
        self._work.add_done_callback(self._work_ended)

    def _work_ended(self, work: "asyncio.Future[Any]") -> None:
        error = work.exception() if not work.cancelled() else None
        if isinstance(error, Exception):
            self.failed(error)
        self._go_on()

    def _go_on(self) -> None:
        """Come back to the client's next command, or to what has happened during the work."""
        self._instance.command_latency.record(time.perf_counter() - self._command_began)
        self._work = None
        self._is_delivering = False
        if self.is_lost:
            self._give_back_maildrop()
        elif self._dismissal is not None:
            self.dismiss(*self._dismissal)
        else:
            self.release()

    def _send_challenge(self, challenge: Challenge) -> None:
        self.lines.max_line_octets = MAXIMUM_RESPONSE_LINE_OCTETS
        self.send(challenge.line)

    def _start_tls(self, reply: bytes) -> None:
        assert self._context.tls is not None, "STLS is offered with a certificate only"
        self.send(reply)
        self.start_tls(self._context.tls())

    async def _begin_scram(self, message: str) -> None:
        session = self._session
        assert session is not None
        try:
            self._scram = await self._context.authenticator.begin_scram(message)
        except ScramMalformed:
            self.send(session.response_malformed())
        except StoreUnavailable:
            self.send(session.login_refused(LoginRefusal.STORE_UNAVAILABLE))
        else:
            self._send_challenge(session.scram_challenge(self._scram.challenge))

    async def _finish_scram(self, message: str) -> None:
        session, scram = self._session, self._scram
        assert session is not None
        assert scram is not None
        self._scram = None
        answer = await prove(
            self._context, scram, message, self.session_id or "", self.address, self._present()
        )
        if isinstance(answer, LoginRefusal):
            self._refuse_login(answer)
        else:
            self._proof, last_message = answer
            self._send_challenge(session.scram_proved(scram.username, last_message))

    def _check_in(self, username: str, password: str) -> None:
        """Log in; in most cases by one question to the store, without a task and without the disk."""
        assert self._session is not None
        session_id = self._session.session_id
        login = remembered_login(self._context, username, password, session_id, self.address)
        if login is None:
            self._begin(self._log_in(username, password))
            return
        self.hold()
        self._work = self._instance.lock_maildrop(login)
        self._work.add_done_callback(functools.partial(self._lock_answered, login, password))

    def _lock_answered(self, login: Login, password: str, answer: "asyncio.Future[LoginOutcome]") -> None:
        try:
            if answer.exception() is not None:
                self._refuse_login(LoginRefusal.STORE_UNAVAILABLE)
            elif answer.result() is not LoginOutcome.OPENED:
                self._begin(self._log_in(login.username, password))  # knows what else may be tried
                return
            elif (opened := open_at_once(self._context, login)) is not None:
                self._logged_in(opened)
            else:
                self._begin(self._open_maildrop(login))
                return
        except Exception as error:
            if self._login is None:
                self._instance.withdraw_login(login.username, login.session_id)
            self.failed(error)
        self._go_on()

    async def _open_maildrop(self, login: Login) -> None:
        self._login_answered(await open_maildrop(self._context, login))

    async def _log_in(self, username: str, evidence: str | Proof) -> None:
        session_id = self.session_id or ""
        self._login_answered(
            await log_in(self._context, username, evidence, session_id, self.address, self._present())
        )

    def _present(self) -> Presence:
        self._presence = Presence()
        if self.is_lost or self._is_at_end:
            self._presence.leave()
        return self._presence

    def _login_answered(self, answer: LoggedIn | LoginRefusal) -> None:
        if isinstance(answer, LoggedIn):
            self._logged_in(answer)
        else:
            self._refuse_login(answer)

    def _logged_in(self, login: LoggedIn) -> None:
        assert self._session is not None
        self._instance.login_latency.record(time.perf_counter() - self._command_began)
        self._login = login
        self._budget = None
        reply = self._session.logged_in(login.contents)
        if not self.is_lost:
            self._instance.deltas.logins += 1
            self._show_session()
            self.send(reply)
            if self._login_timer is not None:
                self._login_timer.cancel()

    def _refuse_login(self, refusal: LoginRefusal) -> None:
        assert self._session is not None
        self._instance.login_latency.record(time.perf_counter() - self._command_began)
        self.send(self._session.login_refused(refusal))
        if self._session.is_shut_out:
            self._end("too many wrong passwords")

    def _send_message(self, wish: SendMessage) -> None:
        assert self._session is not None
        assert self._login is not None
        maildir, message = self._login.maildir, wish.message
        try:
            whole = whole_if_cached(maildir, message) if wish.body_lines is None else None
            file = MessageFile.open_if_cached(maildir, message) if whole is None else None
        except MaildirError as error:
            self._refuse_message(error)
            return
        if whole is not None:
            self.send(self._session.message_opened(message))
            self._count.message_ends_at(self.output.octets_queued + len(whole))
            self.send(whole)
        else:
            self._begin(self._open_and_deliver(self._login, wish, file))

    def _refuse_message(self, error: MaildirError) -> None:
        assert self._session is not None
        log.info("message unavailable", session=self.session_id, reason=str(error))
        fault = MessageFault.GONE
        if isinstance(error, MessageUnreadable | MaildirUnreadable):
            fault = MessageFault.UNREADABLE_NOW if error.is_temporary else MessageFault.UNREADABLE
        self.send(self._session.message_unavailable(fault))

    async def _open_and_deliver(self, login: LoggedIn, wish: SendMessage, file: MessageFile | None) -> None:
        """Send a message once its first octets have been read, from `file` where it is open already."""
        try:
            if file is not None:
                opened, start = file, await read(self._context, file)
            else:
                opened, start = await self._context.disk.run(
                    self._context.maildirs.lane(login.maildir),
                    open_and_read,
                    login.maildir,
                    wish.message,
                    login.moved,
                )
        except MaildirError as error:
            if file is not None:
                self._context.close(file)
            self._refuse_message(error)
            return
        try:
            await self._deliver(opened, start, wish)
        finally:
            self._context.close(opened)

    async def _deliver(self, file: MessageFile, start: bytes, wish: SendMessage) -> None:
        assert self._session is not None
        self._is_delivering = True
        self.send(self._session.message_opened(wish.message))
        try:
            last = await deliver(self, self._context, file, start, wish.body_lines)
        except ConnectionResetError:
            return
        except MaildirError as error:
            log.warning("message cut short", session=self.session_id, reason=str(error))
            self._cut("message unreadable")
            return
        if wish.body_lines is None:
            self._count.message_ends_at(self.output.octets_queued + len(last))
        self.send(last)

    async def _remove(self, wish: RemoveMarked) -> None:
        assert self._session is not None
        assert self._login is not None
        lease = self._login.lease
        result = await self._context.disk.run(
            self._context.maildirs.lane(self._login.maildir),
            remove_marked,
            self._login.maildir,
            wish.messages,
            lambda: self._instance.still_holds(lease),
        )
        self._removed = result.removed
        self._instance.deltas.removed_emails += result.removed
        self._instance.counted()
        self._give_back_maildrop()
        self._end("quit", self._farewell(result))

    def _farewell(self, result: Removed) -> bytes:
        assert self._session is not None
        if result.quota_fault:
            log.warning("maildirsize not kept true", session=self.session_id, reason=result.quota_fault)
        if result.failed or result.withheld:
            log.warning(
                "not all removed", session=self.session_id, failed=result.failed, withheld=result.withheld
            )
        if result.withheld and not result.removed:
            return self._session.update_refused()
        return self._session.removed(result.failed + result.withheld)

    # The end

    def _end(self, ending: str, reply: bytes = b"") -> None:
        self._ending = ending
        # Closing on input that nobody read would reset the connection, and take the reply with it.
        self.hang_up(reply, linger=ending != "quit" or self.lines.pending_octets > 0)

    def _cut(self, ending: str) -> None:
        self._ending = ending
        self.abort()

    def _give_back_maildrop(self) -> None:
        if self._login is not None:
            login, self._login = self._login, None
            login.maildir.close()
            self._instance.release_maildrop(login.username, self.session_id or "")

    def _login_expired(self) -> None:
        self._cut("not logged in within 60 s")

    def _idle_expired(self) -> None:
        """Close an idle connection without a word and without UPDATE (RFC 1939, section 3)."""
        octets_taken = self.output.octets_written - self.output.unsent_octets()
        is_slow_but_reading = bool(self.output.unsent_octets()) and octets_taken != self._octets_at_last_look
        self._octets_at_last_look = octets_taken
        is_waiting_for_us = self._work is not None and not self._is_delivering
        if is_slow_but_reading or is_waiting_for_us:
            self._idle.touch()
            self.timeout_changed()
        else:
            self._cut("idle")
