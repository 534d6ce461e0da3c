"""The POP3 engine with a maildrop in memory behind it: a server without a socket, for conversations."""

from collections.abc import Sequence

from pop3_service.protocol.maildrop import MaildropContents, Message
from pop3_service.protocol.multiline import TopEncoder, octets_on_the_wire, wire_form
from pop3_service.protocol.session import (
    HangUp,
    Intention,
    LogIn,
    LoginRefusal,
    RemoveMarked,
    SendMessage,
    Session,
)
from support.dialogue import play

USER = "mrose"
PASSWORD = "tanstaaf"


def message_of(octets: int) -> bytes:
    """Return a content that has so many octets on the wire."""
    return b"x" * (octets - 2) + b"\n"


class EnginePeer:
    """The server's side of a conversation: the engine, and in place of a connection plain lists.

    `mail` maps unique-ids to contents and loses what is removed; a unique-id in `stuck` cannot be
    removed, one in `vanished` cannot be opened. `refusal` refuses logins, whatever the password.
    """

    def __init__(self, contents: Sequence[bytes] = ()) -> None:
        self.mail = {b"unique%d" % number: content for number, content in enumerate(contents, 1)}
        self.stuck: set[bytes] = set()
        self.vanished: set[bytes] = set()
        self.refusal: LoginRefusal | None = None
        self.holds_lock = True
        self.session = Session("3f2a", "Peep-1.0")
        self.is_closed = False
        self._replies = self.session.greeting()

    def send(self, octets: bytes) -> None:
        for line in octets.split(b"\r\n")[:-1]:
            if not self.is_closed:
                overlong = len(line) + 2 > 255
                answer = self.session.receive_overlong() if overlong else self.session.receive(line)
                self._replies += answer if isinstance(answer, bytes) else self._do(answer)

    def read_line(self) -> bytes:
        line, end, self._replies = self._replies.partition(b"\r\n")
        assert line or end or self.is_closed, "the server has nothing more to say, and has not closed"
        return line + end

    def unread(self) -> bytes:
        return self._replies

    def _do(self, intention: Intention) -> bytes:
        match intention:
            case LogIn(username, password):
                return self._log_in(username, password)
            case SendMessage(message, body_lines):
                return self._send_message(message, body_lines)
            case RemoveMarked(messages):
                return self._remove(messages)
            case HangUp(reply):
                self.is_closed = True
                return reply

    def _log_in(self, username: str, password: str) -> bytes:
        if self.refusal is not None:
            return self.session.login_refused(self.refusal)
        if (username, password) != (USER, PASSWORD):
            return self.session.login_refused(LoginRefusal.WRONG_CREDENTIALS)
        listed = [Message(name, octets_on_the_wire(content), name) for name, content in self.mail.items()]
        return self.session.logged_in(MaildropContents(listed))

    def _send_message(self, message: Message, body_lines: int | None) -> bytes:
        if message.unique_id in self.vanished:
            return self.session.message_unavailable()
        content = self.mail[message.unique_id]
        first_line = self.session.message_opened(message)
        if body_lines is None:
            return first_line + wire_form(content)
        top = TopEncoder(body_lines)
        return first_line + top.feed(content) + top.end()

    def _remove(self, messages: Sequence[Message]) -> bytes:
        self.is_closed = True
        if not self.holds_lock:
            return self.session.update_refused()
        removable = [message.unique_id for message in messages if message.unique_id not in self.stuck]
        for unique_id in removable:
            del self.mail[unique_id]
        return self.session.removed(failed=len(messages) - len(removable))


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
