"""The POP3 dialogue of one client as a pure state machine (RFC 1939, 2449, 2595, 3206, 5034, 6856).

`Session.receive` takes a command line and returns an `Answer`. Where that is an `Intention` the connection
does it, and hands the outcome to `Session.complete`, which returns the next answer.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, cast

from pop3_service.protocol import languages, replies, sasl
from pop3_service.protocol.capabilities import Circumstances, capability_list
from pop3_service.protocol.commands import (
    COMMANDS_BY_KEYWORD,
    MAXIMUM_COMMAND_LINE_OCTETS,
    Command,
    State,
    longest_line,
)
from pop3_service.protocol.intentions import (
    Answer,
    BeginScram,
    Challenge,
    FinishScram,
    HangUp,
    Intention,
    LogIn,
    OpenMaildrop,
    Outcome,
    RefuseClearText,
    RemoveMarked,
    SendMessage,
    StartTls,
    UpdateOutcome,
)
from pop3_service.protocol.maildrop import Maildrop, MaildropContents
from pop3_service.protocol.mechanisms import DIALOGUES, Dialogue
from pop3_service.protocol.multiline import TERMINATION_LINE
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.replies import LoginPutOff, LoginRefusal, MessageFault
from pop3_service.protocol.transaction import BARE_COMMANDS, NUMBERED_COMMANDS, TRANSACTION_COMMANDS

MAXIMUM_MISTAKES: Final = 20
"""Unknown or malformed commands in a row that end a session: its client does not speak POP3.

A well-formed command starts the count again, even one that is refused (`RETR 99`, `STAT` before login).
"""

MAXIMUM_WRONG_PASSWORDS: Final = 10
"""Wrong passwords that end a session; those that were refused unchecked count too (P18)."""

_FORBIDDEN_OCTET: Final = re.compile(rb"[^ -~]")
_CONTROL_OCTET: Final = re.compile(rb"[\x00-\x1f\x7f]")
_NO_MAILDROP: Final = Maildrop(MaildropContents((), (), ()))
# Looked up for every command: a global name costs less than an attribute of the class.
_TRANSACTION: Final = State.TRANSACTION
_WRONG_STATE: Final = {
    State.AUTHORIZATION: replies.LOG_IN_FIRST,
    State.TRANSACTION: replies.ALREADY_LOGGED_IN,
    State.UPDATE: replies.SESSION_IS_ENDING,
}


def _end(_session: object, _intention: RemoveMarked, outcome: UpdateOutcome) -> Answer:
    return HangUp(outcome.value, "quit")


class OutOfTurn(Exception):
    """The connection broke the session's rules: a bug of ours, and nothing that a client can cause."""


class Session:
    """One client's dialogue, from the greeting to QUIT.

    `username` is None until a login has succeeded. `is_encrypted` says whether the dialogue begins inside
    TLS. After an `Intention` only its outcome is taken: everything else raises `OutOfTurn`.
    """

    __slots__ = (
        "_dialogue",
        "_due",
        "_is_encrypted",
        "_maildrop",
        "_mistakes",
        "_offered_name",
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
        self._due: Intention[Any] | None = None
        """The intention whose outcome is expected."""
        self._dialogue: Dialogue | None = None
        """The AUTH that is under way."""
        self._maildrop = _NO_MAILDROP
        self._mistakes = 0
        self._wrong_passwords = 0

    @property
    def marked_count(self) -> int:
        """The number of messages that are marked as deleted now."""
        return self._maildrop.marked_count

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
        """Whether UTF8 would be obeyed now: before login, and outside of AUTH."""
        return self.state is State.AUTHORIZATION and self._due is None

    def greeting(self) -> bytes:
        """Return the first line of the dialogue; it carries the session's id, as the logs do."""
        return replies.greeting(self.session_id)

    def receive(self, line: bytes) -> Answer:
        """Return the answer to a line, which is given without its end."""
        if self._due is not None and (challenge := self._challenge_due()) is not None:
            return self._receive_response(challenge, line)
        if self.state is _TRANSACTION:  # of most commands' usual forms nothing else has to be checked
            obey = BARE_COMMANDS.get(line)
            if obey is not None:
                self._mistakes = 0
                return obey(self._maildrop)
            keyword, _, number = line.partition(b" ")
            obey = NUMBERED_COMMANDS.get(keyword)
            if obey is not None and number.isdigit():
                self._mistakes = 0
                answer = obey(self._maildrop, int(number))
                if type(answer) is SendMessage:
                    self._due = answer
                return answer
        return self._read(line)

    def _read(self, line: bytes) -> Answer:
        if _FORBIDDEN_OCTET.search(line) and not _is_utf8_login(line):
            return self._mistake(replies.FORBIDDEN_OCTET)
        keyword, space, rest = line.partition(b" ")
        command = COMMANDS_BY_KEYWORD.get(keyword.upper())
        if command is None:
            return self._mistake(replies.UNKNOWN_COMMAND)
        values = command.read(rest if space else None)
        return self._mistake(values) if isinstance(values, bytes) else self._obey(command, values)

    def _obey(self, command: Command, values: Sequence[int | str]) -> Answer:
        self._mistakes = 0
        keyword = command.keyword
        if self.state is _TRANSACTION and (obey := TRANSACTION_COMMANDS.get(keyword)) is not None:
            return self._awaiting(obey(self._maildrop, *values))
        # PASS counts immediately after USER only (RFC 1939, section 7): any other command withdraws the name.
        if keyword != "PASS":
            self._offered_name = None
        if self.state not in command.states:
            return _WRONG_STATE[self.state]
        return self._awaiting(self._HANDLERS[keyword](self, *values))

    def receive_overlong(self, head: bytes = b"") -> Answer:
        """Return the answer to a line over its limit, which begins with `head` (RFC 2449, section 4)."""
        is_response = self._challenge_due() is not None or longest_line(head) > MAXIMUM_COMMAND_LINE_OCTETS
        return self._mistake(replies.RESPONSE_TOO_LONG if is_response else replies.LINE_TOO_LONG)

    def complete(self, intention: Intention[Outcome], outcome: Outcome) -> Answer:
        """Return the answer to what came of `intention`, which must be the last answer."""
        if intention is not self._due:
            raise OutOfTurn(f"{type(intention).__name__} is not due")
        self._due = None
        if type(intention) is SendMessage:  # the one that a session has many of
            if outcome is not None:
                return cast(MessageFault, outcome).value
            return (
                replies.OK
                if intention.body_lines is not None
                else b"+OK %d octets\r\n" % intention.message.octets
            )
        return self._awaiting(self._COMPLETIONS[type(intention)](self, intention, outcome))

    def _awaiting(self, answer: Answer) -> Answer:
        self._due = answer if isinstance(answer, Intention) else None
        return answer

    def _challenge_due(self) -> Challenge | None:
        """Return the challenge that the next line answers, None where the next line is a command."""
        if self._due is not None and not isinstance(self._due, Challenge):
            raise OutOfTurn(f"a line, though {type(self._due).__name__} is due")
        return self._due

    def _receive_response(self, challenge: Challenge, line: bytes) -> Answer:
        if line == sasl.CANCEL:
            self._due = self._dialogue = None
            return replies.CANCELLED
        response = sasl.decode(line)
        return self._mistake(replies.NOT_BASE64) if response is None else self.complete(challenge, response)

    def _mistake(self, reply: bytes) -> Answer:
        self._offered_name = None
        self._due = self._dialogue = None
        self._mistakes += 1
        if self._mistakes < MAXIMUM_MISTAKES:
            return reply
        return HangUp(replies.TOO_MANY_MISTAKES, "not a POP3 client")

    # The outcomes of intentions

    def _login_completed(
        self, intention: LogIn | OpenMaildrop, outcome: MaildropContents | LoginRefusal | LoginPutOff
    ) -> Answer:
        self._offered_name = None
        if not isinstance(outcome, MaildropContents):
            return self._refuse(outcome)
        self.username = intention.username
        self.state = State.TRANSACTION
        self._maildrop = Maildrop(outcome)
        return self._maildrop.summary()

    def _refuse(self, refusal: LoginRefusal | LoginPutOff) -> Answer:
        if refusal in {LoginRefusal.WRONG_CREDENTIALS, LoginRefusal.SLOWED_DOWN}:
            self._wrong_passwords += 1
            if self._wrong_passwords >= MAXIMUM_WRONG_PASSWORDS:
                return HangUp(refusal.value, "too many wrong passwords")
        return refusal.value

    def _continue_dialogue(self, _intention: Intention[Any], outcome: object) -> Answer:
        assert self._dialogue is not None  # the intention came from it
        try:
            return self._dialogue.send(outcome)
        except StopIteration as ended:
            self._dialogue = None
            ending: Answer | LoginRefusal = ended.value
        return self._refuse(ending) if isinstance(ending, LoginRefusal) else ending

    # The commands that are not only the maildrop's, in the order of the table

    def _capabilities(self) -> Answer:
        return capability_list(
            Circumstances(self.state, self.policy, self.can_start_tls, self.takes_clear_passwords)
        )

    def _start_tls(self) -> Answer:
        if self._is_encrypted:
            return replies.TLS_IS_ACTIVE
        if not self.policy.offers_tls:
            return replies.TLS_NOT_OFFERED
        # Nothing that the client said in the clear holds from now on, except for its wrong passwords.
        self._is_encrypted = True
        return StartTls(replies.BEGIN_TLS)

    def _use_utf8(self) -> Answer:
        return replies.UTF8_ENABLED

    def _language(self, wanted: str | None = None) -> Answer:
        if wanted is None:
            return replies.LANGUAGES_FOLLOW + languages.LISTING + TERMINATION_LINE
        tag = languages.matching(wanted)
        return replies.NO_SUCH_LANGUAGE if tag is None else replies.language_selected(tag)

    def _authenticate(self, name: str | None = None, initial_response: str | None = None) -> Answer:
        offered = sasl.mechanisms(clear_passwords=self.takes_clear_passwords)
        if name is None:  # older than RFC 5034, and still sent by some clients
            return replies.MECHANISMS_FOLLOW + sasl.listing(offered) + TERMINATION_LINE
        mechanism = name.upper()
        if mechanism not in offered:
            if mechanism == sasl.PLAIN:
                return RefuseClearText(replies.TLS_REQUIRED, "", mechanism)
            return replies.UNKNOWN_MECHANISM
        self._dialogue = DIALOGUES[mechanism]()
        challenge = next(self._dialogue)
        if initial_response is None or not isinstance(challenge, Challenge):
            return challenge
        self._due = challenge
        if initial_response == sasl.EMPTY_INITIAL_RESPONSE:
            initial_response = ""
        return self._receive_response(challenge, initial_response.encode())

    def _offer_name(self, name: str) -> Answer:
        if not self.takes_clear_passwords:
            return RefuseClearText(replies.TLS_REQUIRED, name, "USER")
        self._offered_name = name
        return replies.SEND_PASSWORD

    def _log_in(self, password: str) -> Answer:
        name = self._offered_name
        return replies.SEND_USER_FIRST if name is None else LogIn(name, password)

    def _quit(self) -> Answer:
        if self.state is State.TRANSACTION:
            self.state = State.UPDATE
        marked = self._maildrop.marked()
        return RemoveMarked(marked) if marked else HangUp(replies.SIGNING_OFF, "quit")

    # Functions, not methods bound to one session: ten thousand idle sessions share these tables.
    _HANDLERS: ClassVar[dict[str, Callable[..., Answer]]] = {
        "CAPA": _capabilities,
        "STLS": _start_tls,
        "UTF8": _use_utf8,
        "LANG": _language,
        "AUTH": _authenticate,
        "USER": _offer_name,
        "PASS": _log_in,
        "QUIT": _quit,
    }

    _COMPLETIONS: ClassVar[dict[type[Intention[Any]], Callable[..., Answer]]] = {
        LogIn: _login_completed,
        OpenMaildrop: _login_completed,
        Challenge: _continue_dialogue,
        BeginScram: _continue_dialogue,
        FinishScram: _continue_dialogue,
        RemoveMarked: _end,
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
