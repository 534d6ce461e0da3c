"""The table of PEEP commands.

One row a command says all that can be said of it without carrying it out. From it come the `-0` and `-1`
decisions, the `cap?` listing and the documentation's list of commands, so they cannot disagree. A new
command is a row here, and an entry in `administration.CHANGES`, or in `queries.QUERIES` where it only reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from peep_gateway.protocol.arguments import AbsolutePath, ArgumentKind, Integer, Mistake, Text, UserName
from peep_gateway.protocol.replies import NegativeCode, ReplyKind

MAX_LINE_OCTETS = 268
"""The longest command: 8 + 1 + 128 + 1 + 128 octets and CRLF (PEEP section 2.1)."""


class State(Enum):
    """Where a session stands (PEEP section 2)."""

    AUTHENTICATION = "AUTHENTICATION"
    AUTHENTICATED = "AUTHENTICATED"


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table; `negative_code` is the one beside `-0`, `-1` and `-8`."""

    commencement: str
    arguments: tuple[ArgumentKind, ...]
    states: frozenset[State]
    reply: ReplyKind
    negative_code: NegativeCode | None
    summary: str
    section: str
    """Where it is defined: a section of the PEEP text, or a reading."""
    is_extension: bool = False
    """Whether the command is ours and not the text's (PEEP section 5)."""

    @property
    def syntax(self) -> str:
        """The command as the PEEP text writes it, for example `u- <username>`."""
        return " ".join([self.commencement, *(f"<{argument.name}>" for argument in self.arguments)])

    @property
    def integer(self) -> Integer | None:
        """The argument whose range `cap?` shows, None where no integer is wanted."""
        return next((kind for kind in self.arguments if isinstance(kind, Integer)), None)

    def code_of(self, mistake: Mistake) -> NegativeCode:
        """Return the code that answers a mistake in one of the arguments."""
        if mistake is Mistake.VALUE and self.negative_code is not None:
            return self.negative_code
        return NegativeCode.INVALID_SYNTAX


def _row(
    commencement: str,
    arguments: tuple[ArgumentKind, ...],
    reply: ReplyKind,
    negative_code: NegativeCode | None,
    summary: str,
) -> Command:
    return Command(
        commencement, arguments, frozenset({State.AUTHENTICATED}), reply, negative_code, summary, "4"
    )


def _extension(
    commencement: str,
    arguments: tuple[ArgumentKind, ...],
    reply: ReplyKind,
    negative_code: NegativeCode | None,
    summary: str,
) -> Command:
    row = _row(commencement, arguments, reply, negative_code, summary)
    return replace(row, section="P17", is_extension=True)


AUTHENTICATE = Command(
    "a",
    (Text("username"), Text("password")),
    frozenset({State.AUTHENTICATION}),
    ReplyKind.NONE,
    NegativeCode.WRONG_CREDENTIALS,
    "log in as an administrator",
    "3",
)
LIST_CAPABILITIES = Command(
    "cap?", (), frozenset(State), ReplyKind.MULTI_LINE, None, "list what this server can do", "3"
)
QUIT = Command("q", (), frozenset(State), ReplyKind.NONE, None, "end the session", "3")

MAX_CONNECTIONS = Integer("new_max_connections", range(1, 1_000_001))
TIMEOUT = Integer("new_time", range(0, 86_401))

_USERNAME = UserName("username")
_NONE, _INTEGER, _LINES = ReplyKind.NONE, ReplyKind.INTEGER, ReplyKind.MULTI_LINE

COMMANDS: tuple[Command, ...] = (
    AUTHENTICATE,
    LIST_CAPABILITIES,
    QUIT,
    _row("u+", (_USERNAME, Text("password")), _NONE, NegativeCode.USER_EXISTS, "add a POP3 user"),
    _row("u-", (_USERNAME,), _NONE, NegativeCode.UNKNOWN_USER, "delete a POP3 user, not the mail"),
    _row("u?", (), _LINES, None, "list the POP3 users"),
    _row("c=", (MAX_CONNECTIONS,), _NONE, NegativeCode.INVALID_MAX_CONNECTIONS, "limit the POP3 connections"),
    _row("c?", (), _INTEGER, None, "show the limit of POP3 connections"),
    _row("m?", (), ReplyKind.STRING, None, "show the mail directory"),
    _row("m=", (AbsolutePath("absolute_path"),), _NONE, NegativeCode.INVALID_PATH, "set the mail directory"),
    _row("t?", (), _INTEGER, None, "show the POP3 inactivity timeout in seconds"),
    _row("t=", (TIMEOUT,), _NONE, NegativeCode.INVALID_TIMEOUT, "set the timeout in seconds, 0 for none"),
    _row("rb?", (), _INTEGER, None, "show how many octets answered POP3 commands"),
    _row("re?", (), _INTEGER, None, "show how many emails were retrieved"),
    _row("xe?", (), _INTEGER, None, "show how many emails were removed"),
    _row("cc?", (), _INTEGER, None, "show how many POP3 connections are open"),
    _row("cu?", (), _LINES, None, "list the POP3 users who are logged in"),
    _row("hc?", (), _INTEGER, None, "show how many POP3 connections there have been"),
    _row("hu?", (), _INTEGER, None, "show how many POP3 logins there have been"),
    _extension(
        "p=", (_USERNAME, Text("password")), _NONE, NegativeCode.UNKNOWN_USER, "change a POP3 user's password"
    ),
    _extension(
        "s?",
        (),
        _LINES,
        None,
        "list the POP3 sessions: id, user or -, address, seconds since it connected, TLS, octets, "
        "messages, marked ones, seconds idle, how far a large message is sent; - for what is not there",
    ),
    _extension(
        "k-", (Text("session_id"),), _NONE, NegativeCode.UNKNOWN_USER, "close a POP3 session without UPDATE"
    ),
    _extension(
        "g?",
        (),
        _LINES,
        None,
        "list the slow-downs of guessing: id, network or -, user or -, seconds since it began, attempts held "
        "up, seconds until it is over",
    ),
    _extension(
        "g-", (Text("slow_down_id"),), _NONE, NegativeCode.UNKNOWN_USER, "lift a slow-down of guessing"
    ),
    _extension(
        "mv?",
        (),
        _LINES,
        None,
        "list whose mail comes from the old server and is not all here: user, state, messages here, "
        "messages, seconds since that was so, reason or -",
    ),
    _extension("mc?", (), _INTEGER, None, "show how many users' mail has come from the old server"),
    _extension("v?", (), ReplyKind.STRING, None, "show the server's version"),
)

AVAILABLE: Mapping[State, Mapping[bytes, Command]] = MappingProxyType(
    {
        state: MappingProxyType({row.commencement.encode(): row for row in COMMANDS if state in row.states})
        for state in State
    }
)
"""Each state's commands by the octets of their commencement."""


def capabilities(commands: tuple[Command, ...] = COMMANDS) -> list[str]:
    """Return the lines of `cap?`: authentication, integer commands with their ranges, extensions (P9).

    They are the same in both states.
    """
    authentication = [row for row in commands if row.states == {State.AUTHENTICATION}]
    integers = [row for row in commands if row.integer is not None]
    extensions = [row for row in commands if row.is_extension and row.integer is None]
    return [_capability(row) for row in (*authentication, *integers, *extensions)]


def _capability(command: Command) -> str:
    if command.integer is None:
        return command.commencement
    allowed = command.integer.allowed
    return f"{command.commencement}{allowed[0]}-{allowed[-1]}"
