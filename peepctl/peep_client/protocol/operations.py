"""What a client can do, without a socket: the one place where operations are defined.

An operation is a generator. It yields requests to send at once, is sent their replies, and returns its
result. `Peep` and `AsyncPeep` only carry the octets. Operations raise `NegativeReply` when the server
refuses, `NotPeep` for a reply of the wrong form, and `NotSupported` when the server lacks an extension.
"""

from collections.abc import Generator, Sequence
from typing import TypeVar

from peep_client.protocol.commands import KNOWN, Request, raw_request, request
from peep_client.protocol.errors import WRONG_LOGIN, NegativeReply, NotPeep, NotSupported, WrongLogin
from peep_client.protocol.records import (
    Capabilities,
    Counters,
    Move,
    Session,
    Settings,
    SlowDown,
    parse_capabilities,
    parse_move,
    parse_session,
    parse_slow_down,
)
from peep_client.protocol.replies import Reply

_Result = TypeVar("_Result")

Operation = Generator[Sequence[Request], Sequence[Reply], _Result]
"""Yields the requests to send at once, is sent as many replies, returns the result."""


class Dialogue:
    """What all operations of one connection share: the server's capabilities, queried once.

    `pipelining` says whether several requests may be sent at once; None lets `cap?` decide.
    """

    __slots__ = ("_capabilities", "_pipelining")

    def __init__(self, pipelining: bool | None = None) -> None:
        self._pipelining = pipelining
        self._capabilities: Capabilities | None = None

    def capabilities(self) -> Operation[Capabilities]:
        """Return the server's capabilities, from memory after the first time."""
        if self._capabilities is None:
            sent = request("cap?")
            (reply,) = yield (sent,)
            self._capabilities = parse_capabilities(_positive(sent, reply).lines)
        return self._capabilities

    def ask(self, commencement: str, *arguments: str | int) -> Operation[Reply]:
        """Return the positive reply to a command; an extension is looked up in `cap?` first."""
        sent = request(commencement, *arguments)
        if KNOWN[commencement].is_extension:
            found = yield from self.capabilities()
            if commencement not in found.extensions:
                raise NotSupported(commencement)
        (reply,) = yield (sent,)
        return _positive(sent, reply)

    def ask_all(self, *commencements: str) -> Operation[list[Reply]]:
        """Return the positive replies to several commands, sent at once where the server takes that."""
        sent = [request(commencement) for commencement in commencements]
        may_pipeline = self._pipelining
        if may_pipeline is None:
            may_pipeline = (yield from self.capabilities()).pipelines
        replies: list[Reply] = []
        for batch in [sent] if may_pipeline else [[one] for one in sent]:
            answers = yield batch
            replies += map(_positive, batch, answers)
        return replies

    def change(self, commencement: str, *arguments: str | int) -> Operation[None]:
        """Send a command whose positive reply is a bare `+`."""
        _require_bare((yield from self.ask(commencement, *arguments)))


def log_in(dialogue: Dialogue, username: str, password: str) -> Operation[None]:
    """Log in as an administrator; raises `WrongLogin`. `connect` does it when it is given a user name."""
    sent = request("a", username, password)
    (reply,) = yield (sent,)
    if reply.code == WRONG_LOGIN:
        raise WrongLogin(username)
    _require_bare(_positive(sent, reply))


def end() -> Operation[None]:
    """Send `q`, which ends the session."""
    yield (request("q"),)


def capabilities(dialogue: Dialogue) -> Operation[Capabilities]:
    """Return what the server can do (`cap?`), queried once a connection."""
    return dialogue.capabilities()


def command(dialogue: Dialogue, line: str, *, multi_line: bool | None = None) -> Operation[Reply]:
    """Send a line unchanged and return the reply, negative replies included.

    `multi_line=True` is for an extension that this library does not know and that answers `+n` and n lines.
    Raises `InvalidArgument` for a line with CR or LF.
    """
    (reply,) = yield (raw_request(line, multi_line=multi_line),)
    return reply


def counters(dialogue: Dialogue) -> Operation[Counters]:
    """Return all counters, in one round trip if the server takes several requests at once."""
    sent, retrieved, removed, connections, ever, logins, users = yield from dialogue.ask_all(
        "rb?", "re?", "xe?", "cc?", "hc?", "hu?", "cu?"
    )
    return Counters(
        retrieved_bytes=_integer(sent),
        retrieved_emails=_integer(retrieved),
        removed_emails=_integer(removed),
        current_connections=_integer(connections),
        logged_in_users=len(users.lines),
        historical_connections=_integer(ever),
        historical_logins=_integer(logins),
    )


def settings(dialogue: Dialogue) -> Operation[Settings]:
    """Return all settings."""
    connections, seconds, directory = yield from dialogue.ask_all("c?", "t?", "m?")
    return Settings(_integer(connections), _integer(seconds), directory.text)


def users(dialogue: Dialogue) -> Operation[list[str]]:
    """Return the names of all POP3 users."""
    return list((yield from dialogue.ask("u?")).lines)


def add_user(dialogue: Dialogue, username: str, password: str) -> Operation[None]:
    """Add a POP3 user; `NegativeReply` with code 3 if the name is taken."""
    return dialogue.change("u+", username, password)


def remove_user(dialogue: Dialogue, username: str) -> Operation[None]:
    """Remove a POP3 user but not the mail; `NegativeReply` with code 4 if there is no such user."""
    return dialogue.change("u-", username)


def set_password(dialogue: Dialogue, username: str, password: str) -> Operation[None]:
    """Change a POP3 user's password; code 4 if there is no such user, `NotSupported` without `p=`."""
    return dialogue.change("p=", username, password)


def max_connections(dialogue: Dialogue) -> Operation[int]:
    """Return how many POP3 connections may be open at one time."""
    return _integer((yield from dialogue.ask("c?")))


def set_max_connections(dialogue: Dialogue, limit: int) -> Operation[None]:
    """Limit the POP3 connections; code 5 if `limit` is outside the range that `capabilities` gives."""
    return dialogue.change("c=", limit)


def timeout(dialogue: Dialogue) -> Operation[int]:
    """Return the POP3 inactivity timeout in seconds; 0 usually means none."""
    return _integer((yield from dialogue.ask("t?")))


def set_timeout(dialogue: Dialogue, seconds: int) -> Operation[None]:
    """Set the inactivity timeout; code 7 if it is outside the range that `capabilities` gives."""
    return dialogue.change("t=", seconds)


def mail_directory(dialogue: Dialogue) -> Operation[str]:
    """Return the absolute path of the mail directory, the root of all maildirs."""
    return (yield from dialogue.ask("m?")).text


def set_mail_directory(dialogue: Dialogue, path: str) -> Operation[None]:
    """Set the mail directory; code 6 if the POP3 service cannot use it."""
    return dialogue.change("m=", path)


def logged_in_users(dialogue: Dialogue) -> Operation[list[str]]:
    """Return the names of the POP3 users who have an open session."""
    return list((yield from dialogue.ask("cu?")).lines)


def sessions(dialogue: Dialogue) -> Operation[list[Session]]:
    """Return the open POP3 sessions; `NotSupported` without `s?`."""
    return [parse_session(line) for line in (yield from dialogue.ask("s?")).lines]


def close_session(dialogue: Dialogue, session_id: str) -> Operation[None]:
    """Close a POP3 session; code 4 if there is no such session, `NotSupported` without `k-`."""
    return dialogue.change("k-", session_id)


def slow_downs(dialogue: Dialogue) -> Operation[list[SlowDown]]:
    """Return the slow-downs for wrong passwords; `NotSupported` without `g?`."""
    return [parse_slow_down(line) for line in (yield from dialogue.ask("g?")).lines]


def lift_slow_down(dialogue: Dialogue, slow_down_id: str) -> Operation[None]:
    """Lift a slow-down; code 4 if there is no such slow-down, `NotSupported` without `g-`."""
    return dialogue.change("g-", slow_down_id)


def moves(dialogue: Dialogue) -> Operation[list[Move]]:
    """Return whose mail comes from the old server and is not all here; `NotSupported` without `mv?`."""
    return [parse_move(line) for line in (yield from dialogue.ask("mv?")).lines]


def moved_users(dialogue: Dialogue) -> Operation[int]:
    """Return how many users' mail has come from the old server; `NotSupported` without `mc?`."""
    return _integer((yield from dialogue.ask("mc?")))


def version(dialogue: Dialogue) -> Operation[str]:
    """Return the server's version; `NotSupported` without `v?`."""
    return (yield from dialogue.ask("v?")).text


def _positive(sent: Request, reply: Reply) -> Reply:
    if reply.code is not None:
        raise NegativeReply(sent.commencement, reply.code)
    return reply


def _require_bare(reply: Reply) -> None:
    # A POP3 server greets with `+OK ...`, which must not pass for a reply.
    if reply.text.strip():
        raise NotPeep(f"a reply with a text where a bare + was expected: {reply.status[:80]!r}")


def _integer(reply: Reply) -> int:
    if not (reply.text.isascii() and reply.text.isdecimal()):
        raise NotPeep(f"a reply without the expected number: {reply.status[:80]!r}")
    return int(reply.text)
