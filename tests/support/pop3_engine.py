"""The POP3 engine with a maildrop in memory behind it: a server without a socket, for conversations."""

from collections.abc import Iterable, Sequence
from typing import Any

from line_server.lines import OverlongLine, RunawayLine
from pop3_service.command_lines import command_lines
from pop3_service.protocol.commands import MAXIMUM_COMMAND_LINE_OCTETS
from pop3_service.protocol.intentions import (
    Answer,
    BeginScram,
    Challenge,
    FinishScram,
    HangUp,
    Intention,
    LogIn,
    OpenMaildrop,
    RefuseClearText,
    RemoveMarked,
    ScramProof,
    SendMessage,
    StartTls,
    UpdateOutcome,
)
from pop3_service.protocol.maildrop import MaildropContents, Message
from pop3_service.protocol.multiline import TopEncoder, wire_form
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.replies import LoginRefusal, MessageFault
from pop3_service.protocol.sasl import MAXIMUM_RESPONSE_LINE_OCTETS
from pop3_service.protocol.session import Session
from state_store.credentials.scram import (
    ClientFirst,
    ScramExchange,
    ScramMalformed,
    ScramRefused,
    new_verifier,
)
from state_store.records import Credential
from support.dialogue import play
from support.wire_octets import octets_on_the_wire

USER = "mrose"
PASSWORD = "tanstaaf"


def message_of(octets: int) -> bytes:
    """Return a content that has so many octets on the wire."""
    return b"x" * (octets - 2) + b"\n"


class EnginePeer:
    """The server's side of a conversation: the engine, and in place of a connection plain lists.

    `mail` maps unique-ids to contents and loses what is removed; a unique-id in `stuck` cannot be
    removed, one in `vanished` cannot be opened. `refusal` refuses logins, whatever the password.
    `is_encrypted` is what TLS would be: nothing is really encrypted here.
    """

    def __init__(
        self,
        contents: Sequence[bytes] = (),
        policy: Policy = Policy("Peep-1.0"),  # noqa: B008 - immutable
        *,
        is_encrypted: bool = False,
    ) -> None:
        self.mail = {b"unique%d" % number: content for number, content in enumerate(contents, 1)}
        self.stuck: set[bytes] = set()
        self.vanished: set[bytes] = set()
        self.refusal: LoginRefusal | None = None
        self.holds_lock = True
        self.session = Session("3f2a", policy, is_encrypted=is_encrypted)
        self.is_closed = False
        self._replies = self.session.greeting()
        self._scram: ScramExchange | None = None
        self._lines = command_lines()

    def send(self, octets: bytes) -> None:
        """Take lines; those that follow STLS in the same octets are never read."""
        self._lines.feed(octets)
        while not self.is_closed and (line := self._lines.next()) is not None:
            assert not isinstance(line, RunawayLine)
            self._lines.max_line_octets = MAXIMUM_COMMAND_LINE_OCTETS
            if isinstance(line, OverlongLine):
                answer = self.session.receive_overlong(line.head)
            else:
                answer = self.session.receive(line)
            self._replies += self._carry_out(answer)

    def read_line(self) -> bytes:
        line, end, self._replies = self._replies.partition(b"\r\n")
        assert line or end or self.is_closed, "the server has nothing more to say, and has not closed"
        return line + end

    def unread(self) -> bytes:
        return self._replies

    def _carry_out(self, answer: Answer) -> bytes:
        match answer:
            case bytes():
                return answer
            case HangUp(reply):
                self.is_closed = True
                return reply
            case RefuseClearText(reply):
                return reply
            case StartTls(reply):
                self._lines = command_lines()
                return reply
            case Challenge(line):
                self._lines.max_line_octets = MAXIMUM_RESPONSE_LINE_OCTETS
                return line
            case SendMessage():
                return self._send_message(answer)
        return self._carry_out(self._done(answer))

    def _done(self, intention: Intention[Any]) -> Answer:
        complete = self.session.complete
        match intention:
            case LogIn(username, password):
                return complete(intention, self._log_in(username, password))
            case RemoveMarked(messages):
                return complete(intention, self._remove(messages))
            case BeginScram(message):
                return complete(intention, self._begin_scram(message))
            case FinishScram(message):
                return complete(intention, self._finish_scram(message))
            case OpenMaildrop():
                return complete(intention, self._log_in(USER, PASSWORD))
        raise AssertionError(intention)

    def _begin_scram(self, message: str) -> str | None:
        credential = Credential("", "1", new_verifier(PASSWORD))
        try:
            first = ClientFirst.parse(message)
        except ScramMalformed:
            return None
        known = credential if first.username == USER else None
        self._scram = ScramExchange(first, known, "a deployment's secret")
        return self._scram.challenge

    def _finish_scram(self, message: str) -> ScramProof | LoginRefusal:
        assert self._scram is not None
        try:
            return ScramProof(self._scram.username, self._scram.finish(message))
        except ScramRefused:
            return LoginRefusal.WRONG_CREDENTIALS

    def _log_in(self, username: str, password: str) -> MaildropContents | LoginRefusal:
        if self.refusal is not None:
            return self.refusal
        if (username, password) != (USER, PASSWORD):
            return LoginRefusal.WRONG_CREDENTIALS
        return contents_of(_listed(name, content) for name, content in self.mail.items())

    def _send_message(self, intention: SendMessage) -> bytes:
        unique_id = intention.message.unique_id
        if unique_id in self.vanished:
            return self._carry_out(self.session.complete(intention, MessageFault.GONE))
        content = self.mail[unique_id]
        first_line = self._carry_out(self.session.complete(intention, None))
        if intention.body_lines is None:
            return first_line + wire_form(content)
        top = TopEncoder(intention.body_lines)
        return first_line + top.feed(content) + top.end()

    def _remove(self, messages: Sequence[Message]) -> UpdateOutcome:
        if not self.holds_lock:
            return UpdateOutcome.LOCK_LOST
        removable = [message.unique_id for message in messages if message.unique_id not in self.stuck]
        for unique_id in removable:
            del self.mail[unique_id]
        is_complete = len(removable) == len(messages)
        return UpdateOutcome.ALL_REMOVED if is_complete else UpdateOutcome.SOME_NOT_REMOVED


def contents_of(messages: Iterable[Message]) -> MaildropContents:
    """Return the contents of a maildrop with these messages."""
    listed = tuple(messages)
    return MaildropContents(listed, [each.octets for each in listed], [each.unique_id for each in listed])


def _listed(name: bytes, content: bytes) -> Message:
    return Message(name, octets_on_the_wire(content), name)


_LOGIN = f"""
    S: +OK Peep ready 3f2a
    C: USER {USER}
    S: +OK send PASS
    C: PASS {PASSWORD}
    S: +OK ...
"""


def converse(conversation: str, peer: EnginePeer, *, logged_in: bool = False) -> EnginePeer:
    """Hold a whole conversation, from the greeting or from after a login; nothing may be left unread."""
    play((_LOGIN if logged_in else "") + conversation, peer)
    assert peer.unread() == b""
    return peer
