"""The POP3 dialogue of one client as a pure state machine (RFC 1939, 2449, 3206).

`Session.receive` takes a command line and gives either the complete reply or an `Intention`: what
the connection has to do before there is a reply. The connection then calls the method that the
intention names, sends what it returns, and only then hands over the next line.
"""

import re
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

from pop3_service.protocol import replies
from pop3_service.protocol.capabilities import capability_list
from pop3_service.protocol.commands import COMMANDS_BY_KEYWORD, State
from pop3_service.protocol.intentions import HangUp, Intention, LogIn, RemoveMarked, SendMessage
from pop3_service.protocol.maildrop import Maildrop, MaildropContents, Message
from pop3_service.protocol.replies import LoginRefusal

__all__ = [
    "MAXIMUM_MISTAKES",
    "MAXIMUM_WRONG_PASSWORDS",
    "HangUp",
    "Intention",
    "LogIn",
    "LoginRefusal",
    "RemoveMarked",
    "SendMessage",
    "Session",
    "State",
]

MAXIMUM_MISTAKES: Final = 20
"""So many unknown or malformed commands in a row end a session: this is not a POP3 client.

A well-formed command starts the count again, even one that is refused (`RETR 99`, `STAT` before login).
"""

MAXIMUM_WRONG_PASSWORDS: Final = 10
"""So many wrong passwords in one session end it (P18)."""

_FORBIDDEN_OCTET: Final = re.compile(rb"[^ -~]")
_NOTHING: Final = MaildropContents(())
_WRONG_STATE: Final = {
    State.AUTHORIZATION: replies.LOG_IN_FIRST,
    State.TRANSACTION: replies.ALREADY_LOGGED_IN,
    State.UPDATE: replies.SESSION_IS_ENDING,
}

Answer: TypeAlias = bytes | Intention


class Session:
    """One client's dialogue, from the greeting to QUIT.

    `username` is None until somebody has logged in. `implementation` is the server's name and
    version, announced by CAPA.
    """

    __slots__ = (
        "_maildrop",
        "_mistakes",
        "_offered_name",
        "_sends_top",
        "_wrong_passwords",
        "implementation",
        "session_id",
        "state",
        "username",
    )

    def __init__(self, session_id: str, implementation: str) -> None:
        self.session_id = session_id
        self.implementation = implementation
        self.state = State.AUTHORIZATION
        self.username: str | None = None
        self._offered_name: str | None = None
        self._maildrop = Maildrop(_NOTHING)
        self._mistakes = 0
        self._wrong_passwords = 0
        self._sends_top = False

    @property
    def is_shut_out(self) -> bool:
        """Whether its wrong passwords are used up: the connection closes after the reply (P18)."""
        return self._wrong_passwords >= MAXIMUM_WRONG_PASSWORDS

    def greeting(self) -> bytes:
        """Return the first line of the dialogue; it carries the session's id, as the logs do."""
        return replies.greeting(self.session_id)

    def receive(self, line: bytes) -> Answer:
        """Return the complete reply to a command line without its CRLF, or what to do first."""
        if _FORBIDDEN_OCTET.search(line):
            return self._mistake(replies.FORBIDDEN_OCTET)
        keyword, space, rest = line.partition(b" ")
        command = COMMANDS_BY_KEYWORD.get(keyword.upper())
        if command is None:
            return self._mistake(replies.UNKNOWN_COMMAND)
        arguments = command.split(rest) if space else []
        fault = command.fault(arguments)
        if fault is not None:
            return self._mistake(fault)
        self._mistakes = 0
        if self.state not in command.states:
            self._offered_name = None
            return _WRONG_STATE[self.state]
        return self._HANDLERS[command.keyword](self, *command.values(arguments))

    def receive_overlong(self) -> Answer:
        """Return the one reply to a line over 255 octets, however long it is (RFC 2449, section 4)."""
        return self._mistake(replies.LINE_TOO_LONG)

    def _mistake(self, reply: bytes) -> Answer:
        self._offered_name = None
        self._mistakes += 1
        return reply if self._mistakes < MAXIMUM_MISTAKES else HangUp(replies.TOO_MANY_MISTAKES)

    # The answers to what the session wanted done.

    def logged_in(self, contents: MaildropContents) -> bytes:
        """Enter TRANSACTION with this maildrop; return the reply to `LogIn`."""
        self.username, self._offered_name = self._offered_name, None
        self.state = State.TRANSACTION
        self._maildrop = Maildrop(contents)
        return self._summary()

    def login_refused(self, refusal: LoginRefusal) -> bytes:
        """Stay in AUTHORIZATION, where USER must come again; return the reply to `LogIn`.

        Afterwards `is_shut_out` tells whether the session ends here.
        """
        self._offered_name = None
        if refusal is LoginRefusal.WRONG_CREDENTIALS:
            self._wrong_passwords += 1
        return refusal.value

    def message_opened(self, message: Message) -> bytes:
        """Return the first line of the reply to RETR or TOP, once the message can surely be read."""
        return replies.OK if self._sends_top else b"+OK %d octets\r\n" % message.octets

    def message_unavailable(self) -> bytes:
        """Return the reply to RETR or TOP when the file has gone or changed since login."""
        return replies.MESSAGE_UNAVAILABLE

    def removed(self, failed: int) -> bytes:
        """Return the one reply to QUIT, when all but `failed` messages are gone (RFC 1939, section 6)."""
        return replies.SOME_NOT_REMOVED if failed else replies.SIGNING_OFF

    def update_refused(self) -> bytes:
        """Return the one reply to QUIT when the maildrop was no longer surely ours to change."""
        return replies.UPDATE_REFUSED

    # The commands, in the order of the table.

    def _capabilities(self) -> Answer:
        self._offered_name = None
        return capability_list(self)

    def _offer_name(self, name: str) -> Answer:
        self._offered_name = name
        return replies.SEND_PASSWORD

    def _log_in(self, password: str) -> Answer:
        # PASS counts immediately after a good USER only (RFC 1939, section 7): whatever else the
        # client says in between, wrong or right, takes the name back.
        name = self._offered_name
        return replies.SEND_USER_FIRST if name is None else LogIn(name, password)

    def _drop_listing(self) -> Answer:
        return self._maildrop.drop_listing()

    def _scan_listing(self, number: int | None = None) -> Answer:
        if number is None:
            return self._maildrop.scan_listing()
        message = self._maildrop.message(number)
        return self._no_message(number) if message is None else b"+OK %d %d\r\n" % (number, message.octets)

    def _unique_id_listing(self, number: int | None = None) -> Answer:
        if number is None:
            return self._maildrop.unique_id_listing()
        message = self._maildrop.message(number)
        return self._no_message(number) if message is None else b"+OK %d %b\r\n" % (number, message.unique_id)

    def _retrieve(self, number: int) -> Answer:
        return self._send(number, None)

    def _top(self, number: int, lines: int) -> Answer:
        return self._send(number, lines)

    def _send(self, number: int, body_lines: int | None) -> Answer:
        self._sends_top = body_lines is not None
        message = self._maildrop.message(number)
        return self._no_message(number) if message is None else SendMessage(message, body_lines)

    def _mark_deleted(self, number: int) -> Answer:
        if self._maildrop.message(number) is None:
            return self._no_message(number)
        self._maildrop.mark_deleted(number)
        return replies.MARKED

    def _unmark_all(self) -> Answer:
        self._maildrop.unmark_all()
        return self._summary()

    def _no_operation(self) -> Answer:
        return replies.OK

    def _quit(self) -> Answer:
        if self.state is State.TRANSACTION:
            self.state = State.UPDATE
        marked = self._maildrop.marked()
        return RemoveMarked(marked) if marked else HangUp(replies.SIGNING_OFF)

    def _no_message(self, number: int) -> bytes:
        return replies.MESSAGE_IS_MARKED if self._maildrop.is_marked(number) else replies.NO_SUCH_MESSAGE

    def _summary(self) -> bytes:
        return replies.messages_and_octets(self._maildrop.count, self._maildrop.octets)

    # Functions, not methods bound to one session: ten thousand idle sessions share this table.
    _HANDLERS: ClassVar[dict[str, Callable[..., Answer]]] = {
        "CAPA": _capabilities,
        "USER": _offer_name,
        "PASS": _log_in,
        "STAT": _drop_listing,
        "LIST": _scan_listing,
        "UIDL": _unique_id_listing,
        "RETR": _retrieve,
        "TOP": _top,
        "DELE": _mark_deleted,
        "RSET": _unmark_all,
        "NOOP": _no_operation,
        "QUIT": _quit,
    }
