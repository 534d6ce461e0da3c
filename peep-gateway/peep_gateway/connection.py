"""One PEEP connection: socket to session to administration and back."""

import asyncio
import secrets

import structlog

from line_server.budget import Budget
from line_server.connection import LineConnection
from line_server.entrance import Entrance
from line_server.lines import OverlongLine, RunawayLine
from peep_gateway.administration import Administration
from peep_gateway.places import Places
from peep_gateway.protocol.commands import MAX_LINE_OCTETS, Command
from peep_gateway.protocol.replies import NegativeCode, ReplyKind, negative
from peep_gateway.protocol.session import Request, Session
from peep_gateway.questions import QUESTIONS, Question, Questions, View
from state_store.credentials.authentication import Authenticator
from state_store.credentials.networks import network_of
from state_store.credentials.passwords import Passwords
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

MAX_UNSENT_REPLIES = 64
"""Replies that may be gathered before they have to be sent (P19): so many pipelined questions are answered
by one look at the store at the most. Other lines are answered `LINES_PER_TURN` at a time, which is less."""

SIGN_IN_SECONDS = 10.0
"""How long a client may stay without signing in, in all; a password that is being checked is waited for."""

IDLE_SECONDS = 600.0
"""How long a client that has signed in may say nothing and read nothing (P19); `t=` is POP3's alone."""


NO_ROOM = negative(NegativeCode.SERVICE_UNAVAILABLE)
"""The reply to whoever has to go for others' sake."""

Decision = bytes | Request | RunawayLine
"""What a line comes to: its reply, or what is to be done; or that there is no line any more."""


class PeepConnection(LineConnection):
    """Answers one client's commands in order, one at a time; it never speaks first (P2).

    Pipelined questions that one look at the store answers are answered together.
    """

    def __init__(
        self,
        connections: set[LineConnection],
        entrance: Entrance,
        repository: StateRepository,
        passwords: Passwords,
        authenticator: Authenticator,
        questions: Questions,
        places: Places,
        *,
        idle_seconds: float = IDLE_SECONDS,
        sign_in_seconds: float = SIGN_IN_SECONDS,
    ) -> None:
        super().__init__(MAX_LINE_OCTETS, connections, entrance)
        self.session = Session()
        self.session_id = secrets.token_hex(6)
        self._repository = repository
        self._passwords = passwords
        self._authenticator = authenticator
        self._questions = questions
        self._idle_seconds = idle_seconds
        self._places = places
        self._sign_in_seconds = sign_in_seconds
        self._sign_in_timer: asyncio.TimerHandle | None = None
        self._budget: Budget | None = None
        """What may still be asked for before signing in; None after it."""
        self._is_late = self._is_finishing = False
        self._request: asyncio.Task[None] | None = None
        self._question: Question | None = None
        self._asked: list[Command] = []
        """Who all wait for what `_question` looks at."""
        self._postponed: Decision | None = None
        """What has been read ahead, and comes after them."""
        self._commands = 0

    # LineConnection

    def opened(self) -> None:
        """Begin a session; it has so much time to sign in."""
        loop = asyncio.get_running_loop()
        self._opened_at = loop.time()
        self._deadline = self.new_deadline(self._idle)
        self._sign_in_timer = loop.call_later(self._sign_in_seconds, self._sign_in_expired)
        self._budget = Budget(self._places.allowances, self.address, network_of)
        self._places.enter(self, self._opened_at)
        self._administration = Administration(
            self._repository,
            self._passwords,
            self._authenticator,
            self.session,
            session_id=self.session_id,
            address=self.address,
        )

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer a line at once, or begin to carry out what it asks for."""
        octets = len(line if isinstance(line, bytes) else line.head)
        if self._budget is not None and not self._budget.spend(octets):
            self.hang_up(NO_ROOM, linger=True)
            return
        decision = self._decision(line)
        if isinstance(decision, Request):
            self._begin(decision)
        else:
            self._reply(decision)

    def eof_received(self) -> bool:
        """Take note that the client waits no longer for an allowance to be refused a password."""
        self._administration.presence.leave()
        return super().eof_received()

    def sent(self) -> None:
        """Take note that the client reads: it is not idle."""
        self._deadline.touch()

    def failed(self, error: Exception) -> None:
        """Log a bug with its stack and close: no reply could be right any more."""
        log.error("unexpected error", session=self.session_id, exc_info=error)
        self.hang_up(linger=True)

    def closed(self) -> None:
        """End the session: what it has asked for last is given up where it has not happened yet."""
        self._deadline.end()
        if self._sign_in_timer is not None:
            self._sign_in_timer.cancel()
        self._places.leave(self)
        if self._request is not None:
            self._request.cancel()
        if self._question is not None:
            self._questions.give_up(self._question, self._told)
        # Where nobody has signed in it was a health check, or a stranger: these come by the hundred.
        (log.debug if self.session.administrator is None else log.info)(
            "session ended",
            session=self.session_id,
            address=self.address,
            administrator=self.session.administrator,
            commands=self._commands,
            seconds=round(asyncio.get_running_loop().time() - self._opened_at, 3),
        )

    # For the server

    def finish(self) -> None:
        """Close once the command in hand has been answered, at once when there is none."""
        self._is_finishing = True
        if not self._is_busy:
            self.hang_up()

    # For the places

    def make_room(self) -> None:
        """Say that there is no room, and close: the one thing that is said unasked (P2)."""
        is_in_handshake = self.is_encrypted and not self.tls_version
        if is_in_handshake or self.unsent_octets():
            self.abort()  # it would keep its descriptor until it has read
        else:
            self.hang_up(NO_ROOM)

    # Inside

    @property
    def _is_busy(self) -> bool:
        return self._request is not None or self._question is not None

    def _decision(self, line: bytes | OverlongLine) -> bytes | Request:
        self._commands += 1
        self._deadline.touch()
        if isinstance(line, OverlongLine):
            return self.session.receive_overlong(line.head)
        decision = self.session.receive(line)
        if isinstance(decision, Request):
            self._administration.note_surplus(decision)
        return decision

    def _begin(self, request: Request) -> None:
        self.hold()
        question = QUESTIONS.get(request.command.commencement)
        if question is None:
            self._request = asyncio.create_task(self._carry_out(request))
        else:
            self._ask(request.command, question)

    async def _carry_out(self, request: Request) -> None:
        try:
            reply = await self._administration.carry_out(request)
        except Exception as error:
            self.failed(error)
            return
        finally:
            self._request = None
        if self._budget is not None and self.session.administrator is not None:
            reply = self._signed_in(reply)
        self._reply(reply)
        self.release()

    def _signed_in(self, reply: bytes) -> bytes:
        """Take a place among those who have signed in; return what is replied to that."""
        self._budget = None
        if self._sign_in_timer is not None:
            self._sign_in_timer.cancel()
        self._deadline.touch()
        self._deadline.allow(self._idle_seconds)
        if self._places.sign_in(self, asyncio.get_running_loop().time()):
            return reply
        self.session.is_over = True
        return NO_ROOM

    def _sign_in_expired(self) -> None:
        self._is_late = True
        if not self._is_busy:
            self.hang_up()

    # Questions

    def _ask(self, command: Command, question: Question) -> None:
        self._question = question
        self._asked.append(command)
        if command.reply is not ReplyKind.MULTI_LINE:  # of these one may be a megabyte
            self._read_ahead(question)
        self._questions.ask(question, self._told)

    def _read_ahead(self, question: Question) -> None:
        """Take those of the pipelined commands that the same look answers, and the first that it does not."""
        while len(self._asked) < MAX_UNSENT_REPLIES:
            line = self.lines.next()
            if line is None:
                return
            decision = line if isinstance(line, RunawayLine) else self._decision(line)
            if not isinstance(decision, Request) or not self._is_alike(decision, question):
                self._postponed = decision
                return
            self._asked.append(decision.command)

    def _is_alike(self, request: Request, question: Question) -> bool:
        other = QUESTIONS.get(request.command.commencement)
        return (
            other is not None
            and other.look is question.look
            and request.command.reply is not ReplyKind.MULTI_LINE
        )

    def _told(self, view: View) -> None:
        asked, self._asked, self._question = self._asked, [], None
        try:
            replies = b"".join([view.reply(command) for command in asked])
        except Exception as error:
            self.failed(error)
            return
        self._go_on(replies)

    def _go_on(self, replies: bytes) -> None:
        decision, self._postponed = self._postponed, None
        if self._is_finishing or decision is None:
            self._reply(replies)
        elif isinstance(decision, RunawayLine):
            self.hang_up(replies, linger=True)
        elif isinstance(decision, Request):
            self.send(replies)
            self._begin(decision)
            return
        else:
            self._reply(replies + decision)
        self.release()

    def _reply(self, octets: bytes) -> None:
        is_too_late = self._is_late and self.session.administrator is None
        if self.session.is_over or self._is_finishing or is_too_late:
            # Commands that came after the last one are thrown away; the reply must not go with them.
            self.hang_up(octets, linger=True)
        else:
            self.send(octets)

    def _idle(self) -> None:
        if not self._is_busy:
            self.hang_up()
            return
        # It is the client that waits here, not we.
        self._deadline.touch()
        self._deadline.allow(self._idle_seconds)
