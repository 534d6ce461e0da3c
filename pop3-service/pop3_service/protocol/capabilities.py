"""What CAPA answers: the table of capabilities, and who is told of each (RFC 2449)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from pop3_service.protocol import replies
from pop3_service.protocol.commands import State
from pop3_service.protocol.multiline import TERMINATION_LINE


class Announcer(Protocol):
    """What capabilities depend on in a session."""

    @property
    def state(self) -> State:
        """Where the session stands."""

    @property
    def implementation(self) -> str:
        """The server's name and version, as IMPLEMENTATION gives them: `Peep-1.2.3`."""


def _always(_announcer: Announcer) -> bool:
    return True


def _after_login(announcer: Announcer) -> bool:
    return announcer.state is State.TRANSACTION


@dataclass(frozen=True, slots=True)
class Capability:
    """A row of the table: the keyword, its parameters, the sessions that are told of it."""

    keyword: str
    rfc: str
    parameters: Callable[[Announcer], str] = lambda _announcer: ""
    is_announced: Callable[[Announcer], bool] = _always

    def line(self, announcer: Announcer) -> bytes:
        """Return the line of CAPA's reply, CRLF included."""
        return f"{self.keyword} {self.parameters(announcer)}".rstrip().encode("ascii") + b"\r\n"


CAPABILITIES: Final = (
    Capability("TOP", "RFC 2449, section 6.1"),
    Capability("UIDL", "RFC 2449, section 6.8"),
    Capability("USER", "RFC 2449, section 6.2"),
    Capability("RESP-CODES", "RFC 2449, section 6.4"),
    Capability("AUTH-RESP-CODE", "RFC 3206, section 6"),
    Capability("PIPELINING", "RFC 2449, section 6.6"),
    Capability("EXPIRE", "RFC 2449, section 6.7", parameters=lambda _announcer: "NEVER"),
    # Nobody needs to know the version before having a password (RFC 2449, section 6.9).
    Capability(
        "IMPLEMENTATION",
        "RFC 2449, section 6.9",
        parameters=lambda announcer: announcer.implementation,
        is_announced=_after_login,
    ),
)


def capability_list(announcer: Announcer) -> bytes:
    """Return the complete reply to CAPA in this session (RFC 2449, section 5)."""
    lines = [row.line(announcer) for row in CAPABILITIES if row.is_announced(announcer)]
    return b"".join([replies.CAPABILITIES_FOLLOW, *lines, TERMINATION_LINE])
