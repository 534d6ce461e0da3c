"""One HTTP connection: uvicorn's, with a time limit for whatever its client has to do."""

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
from state_api.errors import LATE, problem_response
from state_api.places import Places, Standing

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a client has for each thing."""

    head: float = 10.0
    """To send a request's head, from its first octet; the first one's from when the connection is there."""
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
    waits until the client has read what was written), `body_seconds`, and the connection's `standing`.
    """

    def __init__(
        self,
        *arguments: Any,
        places: Places,
        limits: Limits,
        network_of: Callable[[str], str | None],
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._places = places
        self._limits = limits
        self._network_of = network_of
        self._phase: Phase | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reader_deadline: asyncio.TimerHandle | None = None
        self._unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection, if there is a place for it."""
        super().connection_made(transport)
        host, port = self.client or ("", 0)
        self.client = (plain_host(host), port)  # as the settings write networks, and the logs addresses
        standing = self._places.enter(self, self._network_of(self.client[0]))
        self.app_state = {
            **self.app_state,
            "abort": transport.abort,
            "body_seconds": self._limits.body,
            "standing": standing,
        }
        if standing is Standing.NOTHING:
            transport.abort()
        else:
            self._enter(Phase.HEAD)

    def data_received(self, data: bytes) -> None:
        """Take in octets of requests."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # ours is the one that knows of half a head behind this request
        self._look()

    def eof_received(self) -> None:
        """Let the transport close, which waits for what is unread."""
        super().eof_received()
        self._watch_reader()

    def pause_writing(self) -> None:
        """Hold the answer back, and see whether its client reads."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._forget_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self._places.leave(self)
        self._set_deadline(None)
        self._forget_reader()

    def give_up_place(self) -> None:
        """End at once: see `Holder`."""
        self.transport.abort()

    def _look(self) -> None:
        """See what the connection waits for now."""
        if self.transport.is_closing():
            self._enter(Phase.END)
        elif self.conn.their_state is h11.SEND_BODY:
            self._enter(Phase.REST if self.cycle.response_complete else Phase.BODY)
        elif self.conn.their_state is not h11.IDLE:
            self._enter(Phase.ANSWER)
        elif self._phase is not Phase.HEAD:
            # Not asked for with each octet of a head: what has come would be copied each time.
            self._enter(Phase.HEAD if self.conn.trailing_data[0] else Phase.IDLE)

    def _enter(self, phase: Phase) -> None:
        # Whoever sends a little now and then stays in the same phase, and its end comes no later for that.
        if phase is self._phase:
            return
        self._phase = phase
        if phase is Phase.ANSWER:
            self._places.answer(self)
        else:
            self._places.wait(self)
        if phase is Phase.END:
            self._watch_reader()
        self._set_deadline(
            {
                Phase.HEAD: self._limits.head,
                # The application answers at the end of `body`: this is for one that does not ask for it.
                Phase.BODY: self._limits.body + self._limits.rest,
                Phase.REST: self._limits.rest,
                Phase.IDLE: self._limits.idle,
            }.get(phase)
        )

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self._call_later(seconds, self._late)

    def _call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        # What it logs is of no request, though one may be under way.
        return self.loop.call_later(seconds, callback, context=contextvars.Context())

    def _late(self) -> None:
        log.debug("http connection closed: its client is late", waited_for=str(self._phase))
        if self._phase in (Phase.BODY, Phase.REST):
            self.transport.abort()
            return
        if self._phase is Phase.HEAD and self.conn.trailing_data[0]:
            self._say_that_it_is_late()
        self.transport.close()
        self._enter(Phase.END)

    def _say_that_it_is_late(self) -> None:
        answer = problem_response(LATE, None)
        head = h11.Response(
            status_code=LATE.status, headers=answer.raw_headers, reason=STATUS_PHRASES[LATE.status]
        )
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")

    def _watch_reader(self) -> None:
        if self._reader_deadline is None:
            self._unread = self.transport.get_write_buffer_size()
            self._reader_deadline = self._call_later(self._limits.reading, self._see_whether_it_reads)

    def _see_whether_it_reads(self) -> None:
        self._reader_deadline = None
        if self.transport.get_write_buffer_size() < self._unread:
            self._watch_reader()
        else:
            self.transport.abort()

    def _forget_reader(self) -> None:
        if self._reader_deadline is not None:
            self._reader_deadline.cancel()
            self._reader_deadline = None
