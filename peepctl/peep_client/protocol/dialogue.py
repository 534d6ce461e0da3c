"""What a client says and in which order, without a socket: the one place where operations are defined.

An operation is a generator. It yields the requests that are to be sent at once, is sent their replies, and
returns its result; the clients for threads and for asyncio only carry the octets.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from peep_client.protocol.commands import Request, raw_request, request
from peep_client.protocol.errors import WRONG_LOGIN, NegativeReply, NotPeep, NotSupported, WrongLogin
from peep_client.protocol.records import (
    Capabilities,
    Counters,
    Session,
    Settings,
    SlowDown,
    parse_capabilities,
    parse_session,
    parse_slow_down,
)
from peep_client.protocol.replies import Reply

_Result = TypeVar("_Result")

Operation = Generator[Sequence[Request], Sequence[Reply], _Result]
"""Yields what to send at once, is sent as many replies, returns the result."""


class Dialogue:
    """One session's operations; it remembers what `cap?` has told.

    `pipelining` says whether several questions may be sent at once; None lets `cap?` decide.
    """

    __slots__ = ("_capabilities", "_pipelining")

    def __init__(self, pipelining: bool | None = None) -> None:
        self._pipelining = pipelining
        self._capabilities: Capabilities | None = None

    def log_in(self, username: str, password: str) -> Operation[None]:
        """Log in as an administrator; raises `WrongLogin`."""
        asked = request("a", username, password)
        (reply,) = yield (asked,)
        if reply.code == WRONG_LOGIN:
            raise WrongLogin(username)
        _nothing(_positive(asked, reply))

    def quit(self) -> Operation[None]:
        """Say that the session is over."""
        yield (request("q"),)

    def capabilities(self) -> Operation[Capabilities]:
        """Return what `cap?` tells, asked for once a session."""
        if self._capabilities is None:
            reply = yield from self._ask(request("cap?"))
            self._capabilities = parse_capabilities(reply.lines)
        return self._capabilities

    def command(self, line: str, *, multi_line: bool | None = None) -> Operation[Reply]:
        """Return the reply to a line as it is, a negative one too."""
        (reply,) = yield (raw_request(line, multi_line=multi_line),)
        return reply

    def counters(self) -> Operation[Counters]:
        """Return all counters, of one moment where the questions can be sent at once."""
        numbers = ("rb?", "re?", "xe?", "cc?", "hc?", "hu?")
        *replies, users = yield from self._ask_all([request(question) for question in (*numbers, "cu?")])
        told = dict(zip(numbers, map(_integer, replies), strict=True))
        return Counters(
            retrieved_bytes=told["rb?"],
            retrieved_emails=told["re?"],
            removed_emails=told["xe?"],
            current_connections=told["cc?"],
            logged_in_users=len(users.lines),
            historical_connections=told["hc?"],
            historical_logins=told["hu?"],
        )

    def settings(self) -> Operation[Settings]:
        """Return all settings."""
        connections, timeout, directory = yield from self._ask_all(
            [request("c?"), request("t?"), request("m?")]
        )
        return Settings(_integer(connections), _integer(timeout), directory.text)

    def integer(self, commencement: str) -> Operation[int]:
        """Return the number that answers a question."""
        return _integer((yield from self._ask(request(commencement))))

    def text(self, commencement: str) -> Operation[str]:
        """Return the text that answers a question."""
        return (yield from self._ask(request(commencement))).text

    def lines(self, commencement: str) -> Operation[list[str]]:
        """Return the lines that answer a question."""
        return list((yield from self._ask(request(commencement))).lines)

    def change(self, commencement: str, *arguments: str | int) -> Operation[None]:
        """Have something changed that is answered by a bare `+`."""
        _nothing((yield from self._ask(request(commencement, *arguments))))

    def set_password(self, username: str, password: str) -> Operation[None]:
        """Change a user's password."""
        asked = request("p=", username, password)
        yield from self._require("p=")
        _nothing((yield from self._ask(asked)))

    def sessions(self) -> Operation[list[Session]]:
        """Return the open sessions."""
        yield from self._require("s?")
        lines = yield from self.lines("s?")
        return [parse_session(line) for line in lines]

    def close_session(self, session_id: str) -> Operation[None]:
        """Close a session."""
        asked = request("k-", session_id)
        yield from self._require("k-")
        _nothing((yield from self._ask(asked)))

    def slow_downs(self) -> Operation[list[SlowDown]]:
        """Return who is slowed down for wrong passwords."""
        yield from self._require("g?")
        lines = yield from self.lines("g?")
        return [parse_slow_down(line) for line in lines]

    def lift_slow_down(self, slow_down_id: str) -> Operation[None]:
        """Lift a slow-down."""
        asked = request("g-", slow_down_id)
        yield from self._require("g-")
        _nothing((yield from self._ask(asked)))

    def version(self) -> Operation[str]:
        """Return the server's version."""
        yield from self._require("v?")
        return (yield from self.text("v?"))

    def _require(self, extension: str) -> Operation[None]:
        capabilities = yield from self.capabilities()
        if extension not in capabilities.extensions:
            raise NotSupported(extension)

    def _ask(self, asked: Request) -> Operation[Reply]:
        (reply,) = yield (asked,)
        return _positive(asked, reply)

    def _ask_all(self, asked: Sequence[Request]) -> Operation[list[Reply]]:
        if (yield from self._may_pipeline()):
            replies = yield asked
            return [_positive(one, reply) for one, reply in zip(asked, replies, strict=True)]
        found: list[Reply] = []
        for one in asked:
            reply = yield from self._ask(one)
            found.append(reply)
        return found

    def _may_pipeline(self) -> Operation[bool]:
        if self._pipelining is None:
            return (yield from self.capabilities()).pipelines
        return self._pipelining


def _positive(asked: Request, reply: Reply) -> Reply:
    if reply.code is not None:
        raise NegativeReply(asked.commencement, reply.code)
    return reply


def _nothing(reply: Reply) -> None:
    # A POP3 server greets with `+OK`, which is no answer to anything of ours.
    if reply.text.strip():
        raise NotPeep(f"a text where none belongs: {reply.status[:80]!r}")


def _integer(reply: Reply) -> int:
    if not (reply.text.isascii() and reply.text.isdecimal()):
        raise NotPeep(f"no number where one belongs: {reply.status[:80]!r}")
    return int(reply.text)
