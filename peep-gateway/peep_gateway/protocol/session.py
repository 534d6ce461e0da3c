"""One PEEP dialogue as a state machine: lines in, replies or requests out, no socket, no waiting."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from peep_gateway.protocol import commands
from peep_gateway.protocol.arguments import Argument, Mistake, is_word
from peep_gateway.protocol.commands import AVAILABLE, Command, State
from peep_gateway.protocol.replies import Answer, NegativeCode, ReplyKind, multiline, negative, positive

MAX_WRONG_PASSWORDS = 10
"""So many failed `a` in one session end it (P18)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command that is available now, with arguments of the right format and range, to be carried out."""

    command: Command
    arguments: tuple[Argument, ...]
    surplus_arguments: int = 0
    """How many further arguments were ignored (P5)."""


class Authentication(Enum):
    """The outcome of an `a` whose password was checked, or refused a check; or the end of what it began."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SLOWED_DOWN = "slowed down"
    """Its network or name has used up its allowance of wrong passwords (P18)."""
    OVER = "over"
    """The administrator of this session was removed since, or has another password or role."""


Outcome = Answer | NegativeCode | Authentication
"""What came of a request: an `Authentication` for `a`, an answer of its `ReplyKind` for any other command, or
the code of what went wrong; `Authentication.OVER` for any of them."""


class Session:
    """One client's dialogue so far.

    `receive` returns the reply to a line, to be sent, or a `Request`, to be carried out. The outcome of a
    request goes to `complete`, which returns its reply; no other line is received before that. Once
    `is_over`, the connection is to be closed.
    """

    __slots__ = ("_request", "_wrong_passwords", "administrator", "is_over", "state")

    def __init__(self) -> None:
        self.state = State.AUTHENTICATION
        self.administrator: str | None = None
        """The name that the client has signed in with."""
        self.is_over = False
        """Whether the connection is to be closed after the next reply."""
        self._request: Request | None = None
        self._wrong_passwords = 0

    def receive(self, line: bytes) -> bytes | Request:
        """Return the reply to a line, given without its CRLF, or the request that it makes.

        The order of the checks is that of the codes: `-0`, then `-1`, then the command's own (P5). Raises
        `RuntimeError` while a request has no outcome yet.
        """
        if self._request is not None:
            raise RuntimeError("the last request has no outcome yet")
        # One space at the end is ignored. Any other space that has no word after it makes an empty word.
        commencement, space, rest = line.removesuffix(b" ").partition(b" ")
        command = AVAILABLE[self.state].get(commencement)
        if command is None:
            return negative(NegativeCode.UNKNOWN_COMMAND)
        words = rest.split(b" ") if space else []
        if len(words) < len(command.arguments) or not all(map(is_word, words)):
            return negative(NegativeCode.INVALID_SYNTAX)
        return self._decide(command, words)

    def receive_overlong(self, head: bytes) -> bytes:
        """Return the reply to a line over `MAX_LINE_OCTETS` that begins with `head` (P6)."""
        is_known = head.partition(b" ")[0] in AVAILABLE[self.state]
        return negative(NegativeCode.INVALID_SYNTAX if is_known else NegativeCode.UNKNOWN_COMMAND)

    def complete(self, outcome: Outcome) -> bytes:
        """Return the reply to the last request, which has been carried out with this outcome.

        Raises `RuntimeError` when there is no request, and `TypeError` when its command has outcomes of
        another kind: both are bugs.
        """
        request, self._request = self._request, None
        if request is None:
            raise RuntimeError("there is no request to complete")
        if isinstance(outcome, NegativeCode):
            return negative(outcome)
        if outcome is Authentication.OVER:
            self.is_over = True
            return negative(NegativeCode.WRONG_CREDENTIALS)
        is_authentication = request.command is commands.AUTHENTICATE
        if is_authentication and isinstance(outcome, Authentication):
            return self._authenticated(str(request.arguments[0]), outcome)
        if is_authentication or isinstance(outcome, Authentication):
            raise TypeError(f"{outcome} is no outcome of {request.command.commencement}")
        return positive(request.command.reply, outcome)

    def _authenticated(self, administrator: str, outcome: Authentication) -> bytes:
        if outcome is Authentication.SUCCEEDED:
            self.state = State.AUTHENTICATED
            self.administrator = administrator
            return positive(ReplyKind.NONE, None)
        self._wrong_passwords += 1
        if self._wrong_passwords == MAX_WRONG_PASSWORDS:
            self.is_over = True
        is_checked = outcome is Authentication.FAILED
        return negative(NegativeCode.WRONG_CREDENTIALS if is_checked else NegativeCode.SERVICE_UNAVAILABLE)

    def _decide(self, command: Command, words: Sequence[bytes]) -> bytes | Request:
        if command is commands.LIST_CAPABILITIES:
            return _capabilities()
        if command is commands.QUIT:
            self.is_over = True
            return positive(ReplyKind.NONE, None)
        decision = _request(command, words)
        if isinstance(decision, Request):
            self._request = decision
        return decision


@functools.cache
def _capabilities() -> bytes:
    # Always the same; made once, `cap?` takes 2 us instead of 25.
    return multiline(commands.capabilities())


def _request(command: Command, words: Sequence[bytes]) -> bytes | Request:
    parsed = [kind.parse(word) for kind, word in zip(command.arguments, words, strict=False)]
    mistakes = {mistake for mistake in parsed if isinstance(mistake, Mistake)}
    if mistakes:
        # A wrong format is reported first, whatever else is wrong.
        worst = Mistake.FORMAT if Mistake.FORMAT in mistakes else Mistake.VALUE
        return negative(command.code_of(worst))
    arguments = tuple(argument for argument in parsed if not isinstance(argument, Mistake))
    return Request(command, arguments, len(words) - len(arguments))
