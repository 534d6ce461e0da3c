"""What the clients of a fault run were told, and what was done to the servers meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Self

LEASE_SECONDS = 15.0
RENEWAL_SECONDS = 5.0

PULSE_SECONDS = 0.05
STALL_SECONDS = 0.2
"""A wait of `PULSE_SECONDS` that takes so much longer shows that the machine stood still."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Something that the servers count: what was seen, what may have been, or what may be lost."""

    octets: int = 0
    retrieved: int = 0
    removed: int = 0
    connections: int = 0
    logins: int = 0

    def __add__(self, other: Self) -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    def __sub__(self, other: Self) -> "Counts":
        return Counts(*(getattr(self, name) - getattr(other, name) for name in NAMES))


NAMES = [name.name for name in fields(Counts)]


@dataclass(slots=True)
class SessionLog:
    """One connection as its client saw it; times are `time.monotonic`, None is never."""

    client: str
    username: str
    session_id: str = ""
    seen: list[tuple[float, Counts]] = field(default_factory=list)
    unsure: Counts = Counts()
    """What may have been counted on top of what was seen: the connection ended before its reply did."""
    pass_sent: float | None = None
    logged_in: float | None = None
    listed: set[str] | None = None
    marked: set[str] = field(default_factory=set)
    vanished: "dict[str, Span]" = field(default_factory=dict)
    """Listed messages that were gone though it had not removed them: from its question to the answer."""
    quit_sent: float | None = None
    quit_answered: float | None = None
    quit_reply: bytes = b""
    """Empty when the connection was lost before it."""
    open_at: float | None = None
    """When the client sent the last command that the session answered: so long it was surely open."""
    ending: str = ""
    complaints: list[str] = field(default_factory=list)

    @property
    def instance_id(self) -> str:
        """Return the instance that served it, empty before the greeting."""
        return self.session_id.partition("-")[0]

    def saw(self, counts: Counts) -> None:
        """Note what was surely counted."""
        self.seen.append((time.monotonic(), counts))

    def __str__(self) -> str:
        return f"{self.client} as {self.username} in session {self.session_id or '-'} ({self.ending})"


@dataclass(frozen=True, slots=True)
class Message:
    """A message; `began` and `delivered` bound the moment of its delivery, whose end may be to come."""

    username: str
    content: bytes
    began: float
    delivered: float

    @property
    def wire(self) -> bytes:
        """Return what follows the status line of RETR."""
        lines = self.content.replace(b"\n", b"\r\n")
        return lines.replace(b"\r\n.", b"\r\n..") + b".\r\n"


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted."""

    begin: float
    end: float


def stalls(wait: Callable[[float], bool], clock: Callable[[], float] = time.monotonic) -> Iterator[Span]:
    """Give each time in which the machine stood still, until `wait`, for so many seconds, returns True."""
    is_over = False
    while not is_over:
        began = clock()
        is_over = wait(PULSE_SECONDS)
        ended = clock()
        if ended - began > PULSE_SECONDS + STALL_SECONDS:
            yield Span(began, ended)


class RunLog:
    """All that is known of one run; threads write into it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.sessions: list[SessionLog] = []
        self.unconnected: list[SessionLog] = []
        """Those whose connection nobody took."""
        self.messages: dict[str, Message] = {}
        self.kills: dict[int, float] = {}
        """Process id of each worker that was killed outright -> when, or a moment before."""
        self.farewells: dict[int, Span] = {}
        """Process id of each worker that was asked to end -> from when to when it ended."""
        self.stops: dict[int, list[Span]] = {}
        """Process id of each worker that was stopped -> from when to when."""
        self.outages: list[Span] = []
        """When Redis did not do what it was asked."""
        self.stalls: list[Span] = []
        """When the machine stood still."""
        self.failovers: list[Span] = []
        """When a master was killed whose replicas may not have had its last writes."""
        self.complaints: list[str] = []
        self._story: list[str] = []

    def tell(self, what: str) -> None:
        """Add a line to the story that a failure prints."""
        with self._lock:
            self._story.append(f"{time.monotonic() - self._began:7.3f} s  {what}")

    def add_session(self, session: SessionLog) -> None:
        """Add the log of a session that begins."""
        with self._lock:
            self.sessions.append(session)

    def add_unconnected(self, session: SessionLog) -> None:
        """Add the log of a client that found nobody to connect to."""
        with self._lock:
            self.unconnected.append(session)

    def set_message(self, unique_id: str, message: Message) -> None:
        """Note a message that is about to be delivered, or has been."""
        with self._lock:
            self.messages[unique_id] = message

    def drop_message(self, unique_id: str) -> None:
        """Note that a message could not be delivered."""
        with self._lock:
            del self.messages[unique_id]

    def messages_now(self) -> dict[str, Message]:
        """Return a copy of what was delivered so far."""
        with self._lock:
            return dict(self.messages)

    def clock(self, moment: float | None) -> str:
        """Return a moment as the story shows it."""
        return "never" if moment is None else f"{moment - self._began:.3f} s"

    def story(self) -> str:
        """Return what was done, in order."""
        return "\n".join(self._story)
