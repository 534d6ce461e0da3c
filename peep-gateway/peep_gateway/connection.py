"""One PEEP connection: socket to session to administration and back."""

import asyncio
import secrets

import structlog

from line_server.connection import LineConnection
from line_server.entrance import Entrance
from line_server.lines import OverlongLine, RunawayLine
from peep_gateway.administration import Administration
from peep_gateway.protocol.commands import MAX_LINE_OCTETS, Command
from peep_gateway.protocol.replies import ReplyKind
from peep_gateway.protocol.session import Request, Session
from peep_gateway.questions import Question, Questions, View
from state_store.passwords import Passwords
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

MAX_PEEP_CONNECTIONS = 900
"""Administrators and their tools are few. Under the usual limit of 1,024 open files this leaves room for
the listening sockets, the connections to Redis and the logs, so that a flood cannot take those away."""

MAX_UNSENT_REPLIES = 64
"""Replies that may be gathered before they have to be sent (P19): so many pipelined questions are answered
by one look at the store at the most. Other lines are answered `LINES_PER_TURN` at a time, which is less."""

IDLE_SECONDS = 600.0
"""How long a client may say nothing and read nothing (P19); POP3's `t=` does not apply here."""


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
        questions: Questions,
        *,
        idle_seconds: float = IDLE_SECONDS,
        max_connections: int = MAX_PEEP_CONNECTIONS,
    ) -> None:
        super().__init__(MAX_LINE_OCTETS, connections, entrance)
        self.session = Session()
        self.session_id = secrets.token_hex(6)
        self._repository = repository
        self._passwords = passwords
        self._questions = questions
        self._idle_seconds = idle_seconds
        self._max_connections = max_connections
        self._is_refused = self._is_finishing = False
        self._request: asyncio.Task[None] | None = None
        self._question: Question | None = None
        self._asked: list[Command] = []
        """Who all wait for what `_question` looks at."""
        self._postponed: Decision | None = None
        """What has been read ahead, and comes after them."""
        self._commands = 0

    # LineConnection

    def opened(self) -> None:
        """Begin a session, unless there are too many already."""
        self._opened_at = asyncio.get_running_loop().time()
        self._deadline = self.new_deadline(self._idle)
        if len(self._connections) > self._max_connections:
            self._is_refused = True
            self.abort()
            return
        self._administration = Administration(
            self._repository,
            self._passwords,
            self.session,
            session_id=self.session_id,
            address=self.address,
        )
        self._deadline.allow(self._idle_seconds)

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer a line at once, or begin to carry out what it asks for."""
        decision = self._decision(line)
        if isinstance(decision, Request):
            self._begin(decision)
        else:
            self._reply(decision)

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
        if self._request is not None:
            self._request.cancel()
        if self._question is not None:
            self._questions.give_up(self._question, self._told)
        # Where nobody has logged in it was a health check, or what was refused has been logged already.
        is_quiet = self.session.administrator is None and not self._is_refused
        (log.debug if is_quiet else log.info)(
            "session refused" if self._is_refused else "session ended",
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

    # Inside

    @property
    def _is_busy(self) -> bool:
        return self._request is not None or self._question is not None

    def _decision(self, line: bytes | OverlongLine) -> bytes | Request:
        self._commands += 1
        self._deadline.touch()
        if isinstance(line, OverlongLine):
            return self.session.receive_overlong(line.head)
        return self.session.receive(line)

    def _begin(self, request: Request) -> None:
        self.hold()
        question = self._administration.question(request)
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
        self._reply(reply)
        self.release()

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
        other = self._administration.question(request)
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
        if self.session.is_over or self._is_finishing:
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
