"""The content of replies as values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote

from peep_client.protocol.commands import PIPELINING
from peep_client.protocol.errors import NotPeep

_CAPABILITY = re.compile(
    r"(?P<commencement>[a-z]{1,8}[-+=?]?)(?:(?P<low>-?[0-9]{1,20})-(?P<high>-?[0-9]{1,20}))?"
)
_NOBODY = "-"
_SESSION_WORDS = 4
_FIGURE_DIGITS = 20
_MOVE_WORDS = 6
_SLOW_DOWN_WORDS = 6
_ADMINISTRATOR = "administrator/"
"""Precedes the name of an administrator; user names contain no slash."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Every PEEP counter and gauge."""

    retrieved_bytes: int
    """Octets of all replies to POP3 commands (`rb?`)."""
    retrieved_emails: int
    """Successful RETR commands (`re?`)."""
    removed_emails: int
    """Messages removed in the UPDATE state (`xe?`)."""
    current_connections: int
    """Open POP3 connections, logged in or not (`cc?`)."""
    logged_in_users: int
    """How many users have an open session (the lines of `cu?`)."""
    historical_connections: int
    """POP3 connections so far (`hc?`)."""
    historical_logins: int
    """Successful POP3 logins so far (`hu?`)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that administrators change while the server runs."""

    max_connections: int
    """The most POP3 connections at one time (`c?`)."""
    timeout_seconds: int
    """Seconds without a command that end a POP3 session; 0 usually means no limit (`t?`)."""
    mail_directory: str
    """The root of all maildirs, an absolute path (`m?`)."""


@dataclass(frozen=True, slots=True)
class Session:
    """One open POP3 connection (`s?`)."""

    id: str
    username: str | None
    """None before the login."""
    address: str
    seconds: int
    """Seconds since it was opened."""
    tls: str | None = None
    """The version of TLS; None in the clear. As what follows, only of servers that tell it."""
    octets: int | None = None
    """Octets of replies so far."""
    retrieved: int | None = None
    """Messages sent whole so far."""
    marked: int | None = None
    """Messages marked as deleted now."""
    idle_seconds: int | None = None
    """Seconds since it last sent or took something."""
    message_sent: int | None = None
    """Octets that are sent of the message that is being fetched; None: none is."""
    message_octets: int | None = None
    """Octets of that message."""


@dataclass(frozen=True, slots=True)
class SlowDown:
    """An allowance of wrong passwords that was used up and is not fully restored (`g?`)."""

    id: str
    network: str | None
    """An IPv4 address or an IPv6 /64; None: all networks from which the user has not logged in lately."""
    username: str | None
    """As clients sent it; None: all users who have not logged in from the network lately."""
    is_administrator: bool
    """Whether the user is an administrator."""
    seconds: int
    """Seconds since the allowance was used up."""
    attempts: int
    """How many attempts have been delayed since."""
    seconds_left: int
    """Seconds until the allowance is fully restored if no further attempt is made."""


@dataclass(frozen=True, slots=True)
class Move:
    """A user's mail that comes from the old server and is not all here (`mv?`)."""

    username: str
    state: str
    """`moving`, `interrupted` or `failed`."""
    messages_here: int
    messages: int
    """On the old server; 0 if it has not listed them yet."""
    seconds: int
    """Seconds since this was so."""
    reason: str | None
    """Why it has failed."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server can do (`cap?`)."""

    lines: tuple[str, ...]
    """All lines of the reply."""
    authentication: tuple[str, ...] = ()
    """Commands that log in: `a`."""
    integers: Mapping[str, range] = field(default_factory=dict)
    """The ranges that `c=` and `t=` accept, by commencement."""
    extensions: tuple[str, ...] = ()
    """Commands that are not in the PEEP text."""

    @property
    def pipelines(self) -> bool:
        """Whether the server is known to accept pipelined commands, because it has Peep's extensions.

        PEEP neither requires pipelining nor has a way to announce it.
        """
        return set(self.extensions) >= PIPELINING


def parse_capabilities(lines: tuple[str, ...]) -> Capabilities:
    """Return what the lines of `cap?` mean; a line of an unknown form is only in `lines`."""
    authentication: list[str] = []
    integers: dict[str, range] = {}
    extensions: list[str] = []
    for line in lines:
        match = _CAPABILITY.fullmatch(line.strip())
        if match is None:
            continue
        commencement = match["commencement"]
        if match["low"] is not None:
            integers[commencement] = range(int(match["low"]), int(match["high"]) + 1)
        elif commencement == "a":
            authentication.append(commencement)
        if commencement not in ("a", "c=", "t="):
            extensions.append(commencement)
    return Capabilities(lines, tuple(authentication), MappingProxyType(integers), tuple(extensions))


def parse_slow_down(line: str) -> SlowDown:
    """Return the slow-down in a line of `g?`; words after the sixth, of later versions, are ignored.

    Raises `NotPeep` if the line has another form.
    """
    words = line.split(" ")[:_SLOW_DOWN_WORDS]
    numbers = [word for word in words[3:] if word.isascii() and word.isdecimal()]
    if len(numbers) < _SLOW_DOWN_WORDS - 3 or not all(words):
        raise NotPeep(f"a line of g? in an unknown form: {line[:80]!r}")
    slow_down, network, user = words[:3]
    name = unquote(user.removeprefix(_ADMINISTRATOR))
    return SlowDown(
        slow_down,
        None if network == _NOBODY else network,
        None if user == _NOBODY else name,
        user.startswith(_ADMINISTRATOR),
        *map(int, numbers),
    )


def parse_move(line: str) -> Move:
    """Return the move in a line of `mv?`; words after the sixth, of later versions, are ignored.

    Raises `NotPeep` if the line has another form.
    """
    words = line.split(" ")[:_MOVE_WORDS]
    numbers = [word for word in words[2:5] if word.isascii() and word.isdecimal()]
    if len(words) < _MOVE_WORDS or len(numbers) < 3 or not all(words):
        raise NotPeep(f"a line of mv? in an unknown form: {line[:80]!r}")
    username, state, reason = words[0], words[1], unquote(words[5])
    here, messages, seconds = map(int, numbers)
    return Move(username, state, here, messages, seconds, None if reason == _NOBODY else reason)


def parse_session(line: str) -> Session:
    """Return the session in a line of `s?`; words that are missing or that later versions add do no harm.

    Raises `NotPeep` if the line has another form.
    """
    words = line.split(" ")[:_SESSION_WORDS]
    if len(words) < _SESSION_WORDS or not all(words) or not (words[3].isascii() and words[3].isdecimal()):
        raise NotPeep(f"a line of s? in an unknown form: {line[:80]!r}")
    session, username, address, seconds = words
    tls, *figures, way = (line.split(" ")[_SESSION_WORDS:] + [_NOBODY] * 6)[:6]
    sent, _, whole = way.partition("/")
    return Session(
        session,
        None if username == _NOBODY else username,
        address,
        int(seconds),
        None if tls == _NOBODY else tls,
        *map(_figure, (*figures, sent, whole)),
    )


def _figure(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdecimal() and len(word) <= _FIGURE_DIGITS else None
