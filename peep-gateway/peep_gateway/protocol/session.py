"""One PEEP dialogue as a state machine: lines in, replies or requests out, no socket, no waiting."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from peep_gateway.protocol import commands
from peep_gateway.protocol.arguments import Argument, Mistake, is_word
from peep_gateway.protocol.commands import AVAILABLE, Command, State
from peep_gateway.protocol.replies import NegativeCode, ReplyKind, multiline, negative, positive

MAX_WRONG_PASSWORDS = 10
"""So many wrong `a` in one session end it (P18)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command that is available now, with arguments of the right format and range, to be carried out."""

    command: Command
    arguments: tuple[Argument, ...]
    surplus_arguments: int = 0
    """How many further arguments were ignored (P5)."""


class Session:
    """What one client and the server have said to each other so far.

    The caller sends what `receive` returns, or carries out the request and sends its reply, before it
    gives the next line; and closes the connection once `is_over`.
    """

    __slots__ = ("_wrong_passwords", "administrator", "is_over", "state")

    def __init__(self) -> None:
        self.state = State.AUTHENTICATION
        self.administrator: str | None = None
        """Who has logged in."""
        self.is_over = False
        """Whether the connection is to be closed after the reply at hand."""
        self._wrong_passwords = 0

    def receive(self, line: bytes) -> bytes | Request:
        """Return the reply to a line, given without its CRLF, or the request that it makes.

        The order of the checks is that of the codes: `-0`, then `-1`, then the command's own (P5).
        """
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

    def authenticated(self, administrator: str) -> None:
        """Take note that `a` has succeeded: all commands but `a` are available now (PEEP section 4)."""
        self.state = State.AUTHENTICATED
        self.administrator = administrator

    def refused(self) -> None:
        """Take note of a wrong `a`; the tenth ends the session after its reply (P18)."""
        self._wrong_passwords += 1
        if self._wrong_passwords == MAX_WRONG_PASSWORDS:
            self.is_over = True

    def _decide(self, command: Command, words: Sequence[bytes]) -> bytes | Request:
        if command is commands.LIST_CAPABILITIES:
            return _capabilities()
        if command is commands.QUIT:
            self.is_over = True
            return positive(ReplyKind.NONE, None)
        return _request(command, words)


@functools.cache
def _capabilities() -> bytes:
    # Always the same; made once, `cap?` takes 2 us instead of 25.
    return multiline(commands.capabilities())


def _request(command: Command, words: Sequence[bytes]) -> bytes | Request:
    parsed = [kind.parse(word) for kind, word in zip(command.arguments, words, strict=False)]
    mistakes = {mistake for mistake in parsed if isinstance(mistake, Mistake)}
    if mistakes:
        # Whatever else is wrong, a wrong format is told first.
        worst = Mistake.FORMAT if Mistake.FORMAT in mistakes else Mistake.VALUE
        return negative(command.code_of(worst))
    arguments = tuple(argument for argument in parsed if not isinstance(argument, Mistake))
    return Request(command, arguments, len(words) - len(arguments))
