"""The commands that this library knows, and how they are encoded (PEEP sections 2.1, 3, 4, 6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from peep_client.protocol.errors import InvalidArgument
from peep_client.protocol.replies import Shape

MAX_ARGUMENT_OCTETS = 128
"""The longest argument (PEEP section 2.1)."""


@dataclass(frozen=True, slots=True)
class KnownCommand:
    """One command of the PEEP text, or one of Peep's extensions."""

    commencement: str
    arguments: tuple[str, ...]
    shape: Shape
    summary: str
    answer: str
    """What the text or the lines of a positive reply are; empty if it has none."""
    codes: Mapping[int, str]
    """The meanings of its own negative codes."""
    is_extension: bool = False

    @property
    def syntax(self) -> str:
        """The command as in the PEEP text, for example `u- <username>`."""
        return " ".join([self.commencement, *(f"<{argument}>" for argument in self.arguments)])


@dataclass(frozen=True, slots=True)
class Request:
    """One encoded command."""

    commencement: str
    octets: bytes
    """The line with its CRLF."""
    shape: Shape


def _change(
    commencement: str, arguments: tuple[str, ...], summary: str, codes: Mapping[int, str], **more: bool
) -> KnownCommand:
    return KnownCommand(commencement, arguments, Shape.SINGLE_LINE, summary, "", codes, **more)


def _number(commencement: str, summary: str, answer: str) -> KnownCommand:
    return KnownCommand(commencement, (), Shape.SINGLE_LINE, summary, answer, {})


def _list(commencement: str, summary: str, answer: str, **more: bool) -> KnownCommand:
    return KnownCommand(commencement, (), Shape.MULTI_LINE, summary, answer, {}, **more)


_USER = ("username",)
_USER_AND_PASSWORD = ("username", "password")
_NO_USER = "there is no user of that name"

_ALL = (
    _change("a", _USER_AND_PASSWORD, "log in as an administrator", {2: "wrong user name or password"}),
    _list("cap?", "list what this server can do", "capabilities"),
    _change("q", (), "end the session", {}),
    _change("u+", _USER_AND_PASSWORD, "add a POP3 user", {3: "a user of that name is there already"}),
    _change("u-", _USER, "remove a POP3 user", {4: _NO_USER}),
    _list("u?", "list the POP3 users", "users"),
    _change("c=", ("new_max_connections",), "limit the POP3 connections", {5: "out of range"}),
    _number("c?", "show the limit of POP3 connections", "connections at the most"),
    _number("m?", "show the mail directory", ""),
    _change("m=", ("absolute_path",), "set the mail directory", {6: "not usable as a mail directory"}),
    _number("t?", "show the POP3 inactivity timeout in seconds", "seconds"),
    _change("t=", ("new_time",), "set the timeout in seconds; 0 usually means none", {7: "out of range"}),
    _number("rb?", "show how many octets were sent in reply to POP3 commands", "octets"),
    _number("re?", "show how many emails were retrieved", "emails retrieved"),
    _number("xe?", "show how many emails were removed", "emails removed"),
    _number("cc?", "show how many POP3 connections are open", "open connections"),
    _list("cu?", "list the POP3 users who are logged in", "users logged in"),
    _number("hc?", "show how many POP3 connections there have been", "connections so far"),
    _number("hu?", "show how many POP3 logins there have been", "logins so far"),
    _change("p=", _USER_AND_PASSWORD, "change a POP3 user's password", {4: _NO_USER}, is_extension=True),
    _list(
        "s?",
        "list the POP3 sessions: id, user, address, seconds",
        "sessions: id, user (- before login), address, seconds connected",
        is_extension=True,
    ),
    _change(
        "k-", ("session",), "close a POP3 session", {4: "no open session has this id"}, is_extension=True
    ),
    _list(
        "g?",
        "list the slow-downs for wrong passwords: id, network, user, since, attempts, until",
        "slow-downs: id, network (- any), user (- any), seconds since, attempts delayed, seconds left",
        is_extension=True,
    ),
    _change(
        "g-",
        ("slow-down",),
        "lift a slow-down for wrong passwords",
        {4: "no slow-down has this id"},
        is_extension=True,
    ),
    _list(
        "mv?",
        "list whose mail comes from the old server and is not all here",
        "moves: user, state, messages here, messages, seconds since, reason (- none)",
        is_extension=True,
    ),
    KnownCommand(
        "mc?",
        (),
        Shape.SINGLE_LINE,
        "show how many users' mail has come from the old server",
        "users whose mail is here",
        {},
        is_extension=True,
    ),
    KnownCommand("v?", (), Shape.SINGLE_LINE, "show the server's version", "", {}, is_extension=True),
)

KNOWN: Mapping[str, KnownCommand] = MappingProxyType({command.commencement: command for command in _ALL})
"""The commands by commencement: those of the PEEP text in its order, then the extensions."""

PIPELINING = frozenset({"p=", "s?", "k-", "v?"})
"""The extensions of the first version of Peep: a server that has them accepts pipelined commands."""


def request(commencement: str, *arguments: str | int) -> Request:
    """Return the request for a known command.

    Raises `InvalidArgument` for an argument that is empty, longer than 128 octets, or not printable ASCII
    without spaces.
    """
    command = KNOWN[commencement]
    words = [_word(name, value) for name, value in zip(command.arguments, arguments, strict=True)]
    return Request(commencement, " ".join([commencement, *words]).encode() + b"\r\n", command.shape)


def raw_request(line: str, *, multi_line: bool | None = None) -> Request:
    """Return the request for a line that is sent unchanged.

    `multi_line` gives the shape of its reply; None takes it from the table, where unknown commands count as
    single-line. Raises `InvalidArgument` for CR and LF: the rest would be another command.
    """
    if "\r" in line or "\n" in line:
        raise InvalidArgument("a line cannot contain CR or LF")
    commencement = line.partition(" ")[0]
    command = KNOWN.get(commencement)
    shape = command.shape if command else Shape.SINGLE_LINE
    if multi_line is not None:
        shape = Shape.MULTI_LINE if multi_line else Shape.SINGLE_LINE
    return Request(commencement, line.encode("utf-8", "surrogateescape") + b"\r\n", shape)


def _word(name: str, value: str | int) -> str:
    word = str(value)
    if not word:
        raise InvalidArgument(f"the {name} is empty")
    if not all("!" <= character <= "~" for character in word):
        raise InvalidArgument(
            f"the {name} contains a space, a control character or a non-ASCII character:"
            " PEEP carries only printable ASCII"
        )
    if len(word) > MAX_ARGUMENT_OCTETS:
        raise InvalidArgument(f"the {name} has {len(word)} octets; at most {MAX_ARGUMENT_OCTETS} are allowed")
    return word
