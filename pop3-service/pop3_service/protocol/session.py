"""The POP3 dialogue of one client as a pure state machine (RFC 1939, 2449, 2595, 3206, 5034, 6856).

`Session.receive` takes a command line and gives either the complete reply or an `Intention`: what
the connection has to do before there is a reply. The connection then calls the method that the
intention names, sends what it returns, and only then hands over the next line.
"""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, TypeAlias

from pop3_service.protocol import languages, replies, sasl
from pop3_service.protocol.capabilities import Circumstances, capability_list
from pop3_service.protocol.commands import (
    BARE_COMMANDS,
    COMMANDS_BY_KEYWORD,
    MAXIMUM_COMMAND_LINE_OCTETS,
    NUMBERED_COMMANDS,
    Command,
    State,
    longest_line,
)
from pop3_service.protocol.intentions import (
    BeginScram,
    Challenge,
    FinishScram,
    HangUp,
    Intention,
    LogIn,
    OpenMaildrop,
    RemoveMarked,
    SendMessage,
    StartTls,
)
from pop3_service.protocol.maildrop import Maildrop, MaildropContents, Message
from pop3_service.protocol.multiline import TERMINATION_LINE
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.replies import LoginRefusal, MessageFault

MAXIMUM_MISTAKES: Final = 20
"""So many unknown or malformed commands in a row end a session: this is not a POP3 client.

A well-formed command starts the count again, even one that is refused (`RETR 99`, `STAT` before login).
"""

MAXIMUM_WRONG_PASSWORDS: Final = 10
"""So many wrong passwords in one session end it, and so do those that were refused unchecked (P18)."""

_FORBIDDEN_OCTET: Final = re.compile(rb"[^ -~]")
_CONTROL_OCTET: Final = re.compile(rb"[\x00-\x1f\x7f]")
_NO_MAILDROP: Final = Maildrop(MaildropContents((), (), ()))
_WRONG_STATE: Final = {
    State.AUTHORIZATION: replies.LOG_IN_FIRST,
    State.TRANSACTION: replies.ALREADY_LOGGED_IN,
    State.UPDATE: replies.SESSION_IS_ENDING,
}

Answer: TypeAlias = bytes | Intention


class Session:
    """One client's dialogue, from the greeting to QUIT.

    `username` is None until somebody has logged in. `is_encrypted` says whether the dialogue begins
    inside TLS.
    """

    __slots__ = (
        "_expects_response",
        "_is_encrypted",
        "_maildrop",
        "_mistakes",
        "_offered_name",
        "_sends_top",
        "_wrong_passwords",
        "policy",
        "session_id",
        "state",
        "username",
    )

    def __init__(self, session_id: str, policy: Policy, *, is_encrypted: bool = False) -> None:
        self.session_id = session_id
        self.policy = policy
        self.state = State.AUTHORIZATION
        self.username: str | None = None
        self._is_encrypted = is_encrypted
        self._offered_name: str | None = None
        # What the client's next line answers, while an AUTH is under way (RFC 5034, section 4).
        self._expects_response: Callable[[Session, bytes], Answer] | None = None
        self._maildrop = _NO_MAILDROP
        self._mistakes = 0
        self._wrong_passwords = 0
        self._sends_top = False

    @property
    def marked_count(self) -> int:
        """The number of messages that are marked as deleted now."""
        return self._maildrop.marked_count

    @property
    def is_shut_out(self) -> bool:
        """Whether its wrong passwords are used up: the connection closes after the reply (P18)."""
        return self._wrong_passwords >= MAXIMUM_WRONG_PASSWORDS

    @property
    def can_start_tls(self) -> bool:
        """Whether STLS would succeed now."""
        return self.state is State.AUTHORIZATION and self.policy.offers_tls and not self._is_encrypted

    @property
    def takes_clear_passwords(self) -> bool:
        """Whether passwords are taken as they are: the dialogue is encrypted, or need not be."""
        return self._is_encrypted or not self.policy.requires_tls

    @property
    def may_say_utf8(self) -> bool:
        """Whether UTF8 would be obeyed now: nobody has logged in, and no AUTH is under way."""
        return self.state is State.AUTHORIZATION and self._expects_response is None

    def greeting(self) -> bytes:
        """Return the first line of the dialogue; it carries the session's id, as the logs do."""
        return replies.greeting(self.session_id)

    def receive(self, line: bytes) -> Answer:
        """Return the complete reply to a command line without its end, or what to do first."""
        if self._expects_response is not None:
            return self._receive_response(line)
        command = BARE_COMMANDS.get(line)
        if command is not None:
            return self._obey(command, ())
        keyword, space, rest = line.partition(b" ")
        if rest.isdigit() and (command := NUMBERED_COMMANDS.get(keyword)) is not None:
            return self._obey(command, (int(rest),))
        if _FORBIDDEN_OCTET.search(line) and not _is_utf8_login(line):
            return self._mistake(replies.FORBIDDEN_OCTET)
        command = COMMANDS_BY_KEYWORD.get(keyword.upper())
        if command is None:
            return self._mistake(replies.UNKNOWN_COMMAND)
        values = command.read(rest if space else None)
        return self._mistake(values) if isinstance(values, bytes) else self._obey(command, values)

    def _obey(self, command: Command, values: Sequence[int | str]) -> Answer:
        self._mistakes = 0
        if self.state not in command.states:
            self._offered_name = None
            return _WRONG_STATE[self.state]
        return self._HANDLERS[command.keyword](self, *values)

    def receive_overlong(self, head: bytes = b"") -> Answer:
        """Return the one reply to a line over its limit, which begins with `head` (RFC 2449, section 4)."""
        is_response = self._expects_response is not None or longest_line(head) > MAXIMUM_COMMAND_LINE_OCTETS
        return self._mistake(replies.RESPONSE_TOO_LONG if is_response else replies.LINE_TOO_LONG)

    def _receive_response(self, line: bytes) -> Answer:
        expects, self._expects_response = self._expects_response, None
        assert expects is not None
        if line == sasl.CANCEL:
            self._offered_name = None  # no PASS may follow, least of all in the clear
            return replies.CANCELLED
        response = sasl.decode(line)
        return self._mistake(replies.NOT_BASE64) if response is None else expects(self, response)

    def _mistake(self, reply: bytes) -> Answer:
        self._offered_name = None
        self._expects_response = None
        self._mistakes += 1
        return reply if self._mistakes < MAXIMUM_MISTAKES else HangUp(replies.TOO_MANY_MISTAKES)

    # The answers to what the session wanted done.

    def logged_in(self, contents: MaildropContents) -> bytes:
        """Enter TRANSACTION with this maildrop; return the reply to `LogIn` or `OpenMaildrop`."""
        self.username, self._offered_name = self._offered_name, None
        self.state = State.TRANSACTION
        self._maildrop = Maildrop(contents)
        return self._maildrop.summary()

    def login_refused(self, refusal: LoginRefusal) -> bytes:
        """Stay in AUTHORIZATION, where USER must come again; return the reply to whatever tried to log in.

        Afterwards `is_shut_out` tells whether the session ends here.
        """
        self._offered_name = None
        if refusal in {LoginRefusal.WRONG_CREDENTIALS, LoginRefusal.SLOWED_DOWN}:
            self._wrong_passwords += 1
        return refusal.value

    def scram_challenge(self, message: str) -> Challenge:
        """Send the server's first SCRAM message (RFC 5802, section 5)."""
        self._expects_response = Session._scram_proof
        return Challenge(sasl.challenge(message.encode()))

    def response_malformed(self) -> bytes:
        """Return the reply to a response that the mechanism cannot take."""
        self._offered_name = None
        return replies.MALFORMED_RESPONSE

    def scram_proved(self, username: str, message: str) -> Challenge:
        """Send the server's last SCRAM message: `username`'s password is known (RFC 5802, section 5)."""
        self._offered_name = username
        # A positive reply cannot carry it, so the client answers it with an empty line (RFC 5034, section 4).
        self._expects_response = Session._scram_end
        return Challenge(sasl.challenge(message.encode()))

    def message_opened(self, message: Message) -> bytes:
        """Return the first line of the reply to RETR or TOP, once the message can surely be read."""
        return replies.OK if self._sends_top else b"+OK %d octets\r\n" % message.octets

    def message_unavailable(self, fault: MessageFault) -> bytes:
        """Return the reply to RETR or TOP of a message that cannot be sent."""
        return fault.value

    def removed(self, failed: int) -> bytes:
        """Return the one reply to QUIT, when all but `failed` messages are gone (RFC 1939, section 6)."""
        return replies.SOME_NOT_REMOVED if failed else replies.SIGNING_OFF

    def update_refused(self) -> bytes:
        """Return the one reply to QUIT when the maildrop was no longer surely ours to change."""
        return replies.UPDATE_REFUSED

    # The commands, in the order of the table.

    def _capabilities(self) -> Answer:
        self._offered_name = None
        return capability_list(
            Circumstances(self.state, self.policy, self.can_start_tls, self.takes_clear_passwords)
        )

    def _start_tls(self) -> Answer:
        if self._is_encrypted:
            return replies.TLS_IS_ACTIVE
        if not self.policy.offers_tls:
            return replies.TLS_NOT_OFFERED
        # Nothing that the client said in the clear holds from now on, but for its wrong passwords.
        self._is_encrypted = True
        self._offered_name = None
        return StartTls(replies.BEGIN_TLS)

    def _use_utf8(self) -> Answer:
        self._offered_name = None
        return replies.UTF8_ENABLED

    def _language(self, wanted: str | None = None) -> Answer:
        self._offered_name = None
        if wanted is None:
            return replies.LANGUAGES_FOLLOW + languages.LISTING + TERMINATION_LINE
        tag = languages.matching(wanted)
        return replies.NO_SUCH_LANGUAGE if tag is None else replies.language_selected(tag)

    def _authenticate(self, name: str | None = None, initial_response: str | None = None) -> Answer:
        self._offered_name = None
        offered = sasl.mechanisms(clear_passwords=self.takes_clear_passwords)
        if name is None:  # older than RFC 5034, and still said by some clients
            return replies.MECHANISMS_FOLLOW + sasl.listing(offered) + TERMINATION_LINE
        mechanism = name.upper()
        if mechanism not in offered:
            return replies.TLS_REQUIRED if mechanism == sasl.PLAIN else replies.UNKNOWN_MECHANISM
        self._expects_response = self._FIRST_RESPONSES[mechanism]
        if initial_response is None:
            return Challenge(sasl.challenge())
        if initial_response == sasl.EMPTY_INITIAL_RESPONSE:
            initial_response = ""
        return self._receive_response(initial_response.encode())

    def _plain_response(self, response: bytes) -> Answer:
        message = sasl.plain_message(response)
        if message is None:
            return replies.MALFORMED_RESPONSE
        # A name that nobody can have is tried as any other: as late, counted and logged. So is whoever asks
        # for another user's rights, as a name with a slash.
        identity, username = message.authorization_identity, message.username
        name = username if identity in ("", username) else f"{identity}/{username}"
        self._offered_name = name
        return LogIn(name, message.password)

    def _scram_response(self, response: bytes) -> Answer:
        message = sasl.scram_message(response)
        return replies.MALFORMED_RESPONSE if message is None else BeginScram(message)

    def _scram_proof(self, response: bytes) -> Answer:
        message = sasl.scram_message(response)
        return self.response_malformed() if message is None else FinishScram(message)

    def _scram_end(self, response: bytes) -> Answer:
        return self.response_malformed() if response else OpenMaildrop()

    def _offer_name(self, name: str) -> Answer:
        if not self.takes_clear_passwords:
            return replies.TLS_REQUIRED
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

    def _retrieve(self, number: int, body_lines: int | None = None) -> Answer:
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
        return self._maildrop.summary()

    def _no_operation(self) -> Answer:
        return replies.OK

    def _quit(self) -> Answer:
        if self.state is State.TRANSACTION:
            self.state = State.UPDATE
        marked = self._maildrop.marked()
        return RemoveMarked(marked) if marked else HangUp(replies.SIGNING_OFF)

    def _no_message(self, number: int) -> bytes:
        return replies.MESSAGE_IS_MARKED if self._maildrop.is_marked(number) else replies.NO_SUCH_MESSAGE

    # Functions, not methods bound to one session: ten thousand idle sessions share this table.
    _HANDLERS: ClassVar[dict[str, Callable[..., Answer]]] = {
        "CAPA": _capabilities,
        "STLS": _start_tls,
        "UTF8": _use_utf8,
        "LANG": _language,
        "AUTH": _authenticate,
        "USER": _offer_name,
        "PASS": _log_in,
        "STAT": _drop_listing,
        "LIST": _scan_listing,
        "UIDL": _unique_id_listing,
        "RETR": _retrieve,
        "TOP": _retrieve,
        "DELE": _mark_deleted,
        "RSET": _unmark_all,
        "NOOP": _no_operation,
        "QUIT": _quit,
    }

    _FIRST_RESPONSES: ClassVar[dict[str, Callable[["Session", bytes], Answer]]] = {
        sasl.PLAIN: _plain_response,
        sasl.SCRAM_SHA_256: _scram_response,
    }


def _is_utf8_login(line: bytes) -> bool:
    """Tell whether `line` is a USER or PASS in UTF-8: the two that may be (RFC 6856, section 2.2)."""
    if line[:5].upper() not in (b"USER ", b"PASS ") or _CONTROL_OCTET.search(line):
        return False
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
