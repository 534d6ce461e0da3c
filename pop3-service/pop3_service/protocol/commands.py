"""The table of POP3 commands, from which the session's dispatch and the documentation are made.

APOP (RFC 1939, section 7) is missing on purpose: it needs readable passwords on the server.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pop3_service.protocol import replies
from pop3_service.protocol.sasl import MAXIMUM_RESPONSE_LINE_OCTETS

MAXIMUM_COMMAND_LINE_OCTETS: Final = 255
"""The longest command line, CRLF counted (RFC 2449, section 4)."""


def longest_line(beginning: bytes) -> int:
    """Return how many octets a line with this beginning may have, its end counted (RFC 5034, section 4)."""
    is_auth = beginning[:5].upper() == b"AUTH "
    return MAXIMUM_RESPONSE_LINE_OCTETS if is_auth else MAXIMUM_COMMAND_LINE_OCTETS


class State(Enum):
    """The states of a session (RFC 1939, section 3)."""

    AUTHORIZATION = "AUTHORIZATION"
    TRANSACTION = "TRANSACTION"
    UPDATE = "UPDATE"


# P11. The name becomes a folder's name: no `/`, and no dot at the beginning.
_USER_NAME: Final = re.compile(rb"[!-\-0-~\x80-\xff][!-.0-~\x80-\xff]{0,127}")
_CONTROL_BEYOND_ASCII: Final = re.compile("[\x80-\x9f\u2028\u2029]")


def is_user_name(octets: bytes) -> bool:
    """Return whether `octets` has the form of a user name (P11), also in UTF-8; no user need have it.

    User names are ASCII (P11). A name in UTF-8 is unknown, not malformed (D11).
    """
    if _USER_NAME.fullmatch(octets) is None:
        return False
    if octets.isascii():
        return True
    try:
        return _CONTROL_BEYOND_ASCII.search(octets.decode()) is None
    except UnicodeDecodeError:
        return False


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command: its name for people, its form, the reply if it has another, its value."""

    name: str
    is_well_formed: Callable[[bytes], bool]
    fault: bytes
    value: Callable[[bytes], int | str]


# `bytes.isdigit` accepts ASCII digits only. `int` alone would also accept a sign, spaces and underscores.
# After the check it never raises: a line is too short for more digits than it takes.
NUMBER: Final = Argument("number", bytes.isdigit, replies.NOT_A_NUMBER, int)
LINES: Final = Argument("lines", bytes.isdigit, replies.NOT_A_NUMBER, int)
NAME: Final = Argument("name", is_user_name, replies.NOT_A_USER_NAME, bytes.decode)
PASSWORD: Final = Argument("password", bool, replies.ARGUMENT_MISSING, bytes.decode)
MECHANISM: Final = Argument("mechanism", bool, replies.ARGUMENT_MISSING, bytes.decode)
INITIAL_RESPONSE: Final = Argument("initial-response", bool, replies.ARGUMENT_MISSING, bytes.decode)
LANGUAGE_RANGE: Final = Argument("language", bool, replies.ARGUMENT_MISSING, bytes.decode)


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the table: a command's form, the states in which it is valid, what it does."""

    keyword: str
    arguments: tuple[Argument, ...]
    states: tuple[State, ...]
    summary: str
    rfc: str
    optional: int = 0
    """How many arguments may be missing, counted from the last one."""
    takes_rest: bool = False
    """Whether the one argument is the rest of the line, spaces included."""

    @property
    def syntax(self) -> str:
        """The command for people: `TOP <number> <lines>`, `LIST [<number>]`."""
        required = len(self.arguments) - self.optional
        names = [f"<{argument.name}>" for argument in self.arguments]
        names[required:] = [f"[{name}]" for name in names[required:]]
        return " ".join([self.keyword, *names])

    def read(self, rest: bytes | None) -> list[int | str] | bytes:
        """Return the values of the arguments: numbers as int, names and passwords as str.

        `rest` is what follows the keyword and a space, None without a space. Spaces at its end are ignored,
        except in a password. For arguments of a wrong form the negative reply is returned instead.
        """
        arguments: Sequence[bytes] = ()
        if rest is not None and self.takes_rest:
            arguments = (rest,)
        elif rest := (rest or b"").rstrip(b" "):
            arguments = rest.split(b" ")
            if b"" in arguments:
                return replies.MISPLACED_SPACE
        if len(arguments) > len(self.arguments):
            return replies.SURPLUS_ARGUMENT
        if len(arguments) < len(self.arguments) - self.optional:
            return replies.ARGUMENT_MISSING
        values = []
        for kind, argument in zip(self.arguments, arguments, strict=False):
            if not kind.is_well_formed(argument):
                return kind.fault
            values.append(kind.value(argument))
        return values


_LOGIN: Final = (State.AUTHORIZATION,)
_MAIL: Final = (State.TRANSACTION,)
_BOTH: Final = (State.AUTHORIZATION, State.TRANSACTION)

COMMANDS: Final = (
    Command("CAPA", (), _BOTH, "list what the server is capable of", "RFC 2449, section 5"),
    Command("STLS", (), _LOGIN, "go on inside TLS", "RFC 2595, section 4"),
    Command("UTF8", (), _LOGIN, "talk in UTF-8", "RFC 6856, section 2"),
    Command("LANG", (LANGUAGE_RANGE,), _BOTH, "choose or list languages", "RFC 6856, section 3", optional=1),
    Command(
        "AUTH",
        (MECHANISM, INITIAL_RESPONSE),
        _LOGIN,
        "log in by a SASL mechanism, or list them",
        "RFC 5034, section 4",
        optional=2,
    ),
    Command("USER", (NAME,), _LOGIN, "name the maildrop to open", "RFC 1939, section 7"),
    Command(
        "PASS", (PASSWORD,), _LOGIN, "give its password, and log in", "RFC 1939, section 7", takes_rest=True
    ),
    Command("STAT", (), _MAIL, "count the messages and their octets", "RFC 1939, section 5"),
    Command("LIST", (NUMBER,), _MAIL, "list octets of messages", "RFC 1939, section 5", optional=1),
    Command("UIDL", (NUMBER,), _MAIL, "list unique-ids of messages", "RFC 1939, section 7", optional=1),
    Command("RETR", (NUMBER,), _MAIL, "send a message", "RFC 1939, section 5"),
    Command("TOP", (NUMBER, LINES), _MAIL, "send the top of a message", "RFC 1939, section 7"),
    Command("DELE", (NUMBER,), _MAIL, "mark a message as deleted", "RFC 1939, section 5"),
    Command("RSET", (), _MAIL, "take all marks away", "RFC 1939, section 5"),
    Command("NOOP", (), _MAIL, "do nothing", "RFC 1939, section 5"),
    Command("QUIT", (), _BOTH, "remove marked messages, and leave", "RFC 1939, sections 4 and 6"),
)

COMMANDS_BY_KEYWORD: Final = {command.keyword.encode("ascii"): command for command in COMMANDS}
