"""One HTTP connection: uvicorn's, with a time limit for everything that its client has to do."""

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from line_server.listener import plain_host
from state_api.connection_limits import Access, ConnectionLimits
from state_api.errors import LATE, problem_response

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds that a client has for each thing."""

    head: float = 10.0
    """To send a request's head, from its first octet; for the first request from when it connects."""
    body: float = 20.0
    """To send a body: 64 KiB at the most."""
    rest: float = 5.0
    """To send what is left of a body whose request is answered already."""
    idle: float = 75.0
    """Between two requests: longer than the minute at which most monitoring asks again."""
    reading: float = 20.0
    """Without reading a single octet of an answer."""


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    REST = auto()
    IDLE = auto()
    END = auto()


class HttpConnection(H11Protocol):
    """uvicorn's protocol, which on its own waits for ever for the rest of a request, and for its reader.

    A request finds in its state `abort`, which ends the connection at once (ASGI only knows a close that
    waits until the client has read what was written), `unread_octets`, `body_seconds`, and the connection's
    `access`.
    """

    def __init__(
        self,
        *arguments: Any,
        connection_limits: ConnectionLimits,
        time_limits: TimeLimits,
        network_of: Callable[[str], str | None],
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._connection_limits = connection_limits
        self._time_limits = time_limits
        self._network_of = network_of
        self._phase: Phase | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reader_deadline: asyncio.TimerHandle | None = None
        self._unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection, if the limits allow it."""
        super().connection_made(transport)
        host, port = self.client or ("", 0)
        self.client = (plain_host(host), port)  # as the settings write networks, and the logs addresses
        access = self._connection_limits.enter(self, self._network_of(self.client[0]))
        self.app_state = {
            **self.app_state,
            "abort": transport.abort,
            "unread_octets": transport.get_write_buffer_size,
            "body_seconds": self._time_limits.body,
            "access": access,
        }
        if access is Access.NONE:
            transport.abort()
        else:
            self._enter(Phase.HEAD)

    def data_received(self, data: bytes) -> None:
        """Take in octets of requests."""
        super().data_received(data)
        self._update_phase()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        # uvicorn's idle timer does not know that half a head may have come already; our deadline does.
        self._unset_keepalive_if_required()
        self._update_phase()

    def eof_received(self) -> None:
        """Let the transport close, which waits for what is unread."""
        super().eof_received()
        self._watch_reader()

    def pause_writing(self) -> None:
        """Hold the answer back, and begin to watch whether its client reads."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._unwatch_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        super().connection_lost(exc)
        self._connection_limits.leave(self)
        self._set_deadline(None)
        self._unwatch_reader()

    def make_room(self) -> None:
        """End at once, for the sake of a new connection."""
        self.transport.abort()

    def _update_phase(self) -> None:
        if self.transport.is_closing():
            self._enter(Phase.END)
        elif self.conn.their_state is h11.SEND_BODY:
            self._enter(Phase.REST if self.cycle.response_complete else Phase.BODY)
        elif self.conn.their_state is not h11.IDLE:
            self._enter(Phase.ANSWER)
        elif self._phase is not Phase.HEAD:
            # Not looked up with each octet of a head: h11 would copy what has come each time.
            self._enter(Phase.HEAD if self.conn.trailing_data[0] else Phase.IDLE)

    def _enter(self, phase: Phase) -> None:
        # A client that sends a little now and then stays in its phase, whose end is not put off.
        if phase is self._phase:
            return
        self._phase = phase
        if phase is Phase.ANSWER:
            self._connection_limits.answer(self)
        else:
            self._connection_limits.wait(self)
        if phase is Phase.END:
            self._watch_reader()
        limits = self._time_limits
        self._set_deadline(
            {
                Phase.HEAD: limits.head,
                # The application answers at the end of `body`: this is for one that does not ask for it.
                Phase.BODY: limits.body + limits.rest,
                Phase.REST: limits.rest,
                Phase.IDLE: limits.idle,
            }.get(phase)
        )

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self._call_later(seconds, self._late)

    def _call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        # In a context of its own: what it logs belongs to no request, though one may be under way.
        return self.loop.call_later(seconds, callback, context=contextvars.Context())

    def _late(self) -> None:
        log.debug("http connection closed: its client is late", waited_for=str(self._phase))
        if self._phase in (Phase.BODY, Phase.REST):
            self.transport.abort()
            return
        if self._phase is Phase.HEAD and self.conn.trailing_data[0]:
            self._answer_late()
        self.transport.close()
        self._enter(Phase.END)

    def _answer_late(self) -> None:
        answer = problem_response(LATE, None)
        head = h11.Response(
            status_code=LATE.status, headers=answer.raw_headers, reason=STATUS_PHRASES[LATE.status]
        )
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")

    def _watch_reader(self) -> None:
        if self._reader_deadline is None:
            self._unread = self.transport.get_write_buffer_size()
            self._reader_deadline = self._call_later(self._time_limits.reading, self._check_reader)

    def _check_reader(self) -> None:
        self._reader_deadline = None
        if self.transport.get_write_buffer_size() < self._unread:
            self._watch_reader()
        else:
            self.transport.abort()

    def _unwatch_reader(self) -> None:
        if self._reader_deadline is not None:
            self._reader_deadline.cancel()
            self._reader_deadline = None
