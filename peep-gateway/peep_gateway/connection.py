"""One PEEP connection: socket to session to administration and back."""

import asyncio
import secrets

import structlog

from line_server.budget import Budget
from line_server.connection import LineConnection
from line_server.deadline import Deadline
from line_server.lines import LineBuffer, OverlongLine
from line_server.listener_options import ListenerOptions
from peep_gateway.administration import Administration, Client
from peep_gateway.connection_limits import ConnectionLimits
from peep_gateway.protocol.commands import MAX_LINE_OCTETS
from peep_gateway.protocol.replies import NegativeCode, negative
from peep_gateway.protocol.session import Request, Session
from peep_gateway.queries import is_query
from state_store.credentials.networks import network_of

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

SIGN_IN_SECONDS = 10.0
"""How long a client may stay without signing in, in all; the check of a password is waited for."""

IDLE_SECONDS = 600.0
"""How long a client that has signed in may say nothing and read nothing (P19); `t=` is POP3's alone."""

REPETITIONS = 1000
"""The most pipelined repetitions of a query that share its answer."""

REPEATED_OCTETS = 64 * 1024
"""What their replies may have together."""

NO_ROOM = negative(NegativeCode.SERVICE_UNAVAILABLE)
"""The reply to a client that is turned away for others' sake."""


class PeepConnection(LineConnection):
    """Answers one client's commands in order, one at a time; it never speaks first (P2)."""

    def __init__(
        self,
        connections: set[LineConnection],
        options: ListenerOptions,
        administration: Administration,
        limits: ConnectionLimits,
        *,
        idle_seconds: float = IDLE_SECONDS,
        sign_in_seconds: float = SIGN_IN_SECONDS,
    ) -> None:
        super().__init__(LineBuffer(MAX_LINE_OCTETS), connections, options)
        self.session = Session()
        self.session_id = secrets.token_hex(6)
        self._administration = administration
        self._limits = limits
        self._idle_seconds = idle_seconds
        self._sign_in_seconds = sign_in_seconds
        self._budget: Budget | None = None
        """The commands that may still be sent before signing in; None after it."""
        self._is_late = False
        """The time for signing in is over; a password is still being checked."""
        self._work: asyncio.Task[None] | None = None
        """Carries out a request; no other line is handed out meanwhile."""
        self._commands = 0

    # LineConnection

    def opened(self) -> None:
        """Begin a session, and the time for signing in."""
        loop = asyncio.get_running_loop()
        self._opened_at = loop.time()
        self._deadline = Deadline(self._limits.timers, self)
        self._sign_in_timer = loop.call_later(self._sign_in_seconds, self._sign_in_expired)
        self._budget = Budget(self._limits.allowances, self.address, network_of)
        self._client = Client(self.session, self.session_id, self.address)
        self._limits.enter(self, self._opened_at)

    def line_received(self, line: bytes | OverlongLine) -> None:
        """Answer a line at once, or begin to carry out its request."""
        octets = len(line if isinstance(line, bytes) else line.head)
        if self._budget is not None and not self._budget.spend(octets):
            self.hang_up(NO_ROOM, linger=True)
            return
        self._commands += 1
        self._deadline.touch()
        if isinstance(line, OverlongLine):
            self._reply(self.session.receive_overlong(line.head))
            return
        decision = self.session.receive(line)
        if isinstance(decision, Request):
            self.hold()
            # Repetitions that have come by now are as well answered by this query as by one each.
            repetitions = self.lines.repetitions(line, REPETITIONS) if is_query(decision) else 0
            self._work = asyncio.create_task(self._carry_out(decision, line, repetitions))
        else:
            self._reply(decision)

    def eof_received(self) -> bool:
        """Note that the client will not wait for its turn to have a wrong password refused."""
        self._client.presence.leave()
        return super().eof_received()

    def sent(self) -> None:
        """Note that the client reads: it is not idle."""
        self._deadline.touch()

    def failed(self, error: Exception) -> None:
        """Log a bug with its stack and close: no reply could be right any more."""
        log.error("unexpected error", session=self.session_id, exc_info=error)
        self.hang_up(linger=True)

    def closed(self) -> None:
        """End the session; a request that is being carried out is cancelled."""
        self._deadline.end()
        self._sign_in_timer.cancel()
        self._limits.leave(self)
        if self._work is not None:
            self._work.cancel()
        # A client that has not signed in is a health check or a stranger: these come by the hundred.
        (log.debug if self.session.administrator is None else log.info)(
            "session ended",
            session=self.session_id,
            address=self.address,
            administrator=self.session.administrator,
            commands=self._commands,
            seconds=round(asyncio.get_running_loop().time() - self._opened_at, 3),
        )

    # For the service

    def finish(self) -> None:
        """Close after the reply to the command in hand, at once when there is none."""
        self.session.is_over = True
        if self._work is None:
            self.hang_up()

    # For the limits

    def make_room(self) -> None:
        """Say that there is no room, and close: the one thing that is said unasked (P2)."""
        is_in_handshake = self.output.channel is not None and not self.output.tls_version
        if is_in_handshake or self.output.unsent_octets():
            self.abort()  # it would keep its descriptor until it has read
        else:
            self.hang_up(NO_ROOM)

    # Inside

    async def _carry_out(self, request: Request, line: bytes, repetitions: int) -> None:
        try:
            reply = self.session.complete(await self._administration.carry_out(request, self._client))
        except Exception as error:
            self.failed(error)
            return
        finally:
            self._work = None
        if self._budget is not None and self.session.administrator is not None:
            reply = self._signed_in(reply)
        if self.session.is_over:
            repetitions = 0
        if repetitions := min(repetitions, REPEATED_OCTETS // len(reply)):
            self.lines.skip_repetitions(line, repetitions)
            self._commands += repetitions
        self._reply(reply * (1 + repetitions))
        self.release()

    def _signed_in(self, reply: bytes) -> bytes:
        """Be counted among those that have signed in; return the reply to that."""
        self._budget = None
        self._sign_in_timer.cancel()
        self._deadline.touch()
        self._deadline.allow(self._idle_seconds)
        if self._limits.sign_in(self, asyncio.get_running_loop().time()):
            return reply
        self.session.is_over = True
        return NO_ROOM

    def _reply(self, octets: bytes) -> None:
        if self.session.is_over or (self._is_late and self.session.administrator is None):
            # The client may have sent more commands: to close on these unread would lose the reply.
            self.hang_up(octets, linger=True)
        else:
            self.send(octets)

    def _sign_in_expired(self) -> None:
        self._is_late = True
        if self._work is None:
            self.hang_up()

    def expired(self) -> None:
        """End a session whose client says nothing."""
        if self._work is None:
            self.hang_up()
            return
        # It is the client that waits here, not we.
        self._deadline.touch()
        self._deadline.allow(self._idle_seconds)
