"""What CAPA answers: the table of capabilities, and who is told of each (RFC 2449)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from pop3_service.protocol import replies, sasl
from pop3_service.protocol.commands import State
from pop3_service.protocol.multiline import TERMINATION_LINE
from pop3_service.protocol.policy import Policy


class Announcer(NamedTuple):
    """What capabilities depend on in a session."""

    state: State
    policy: Policy
    can_start_tls: bool
    """Whether STLS would succeed now."""
    takes_clear_passwords: bool
    """Whether passwords are taken as they are: the line is encrypted, or need not be."""


def _always(_announcer: Announcer) -> bool:
    return True


def _after_login(announcer: Announcer) -> bool:
    return announcer.state is State.TRANSACTION


def _mechanisms(announcer: Announcer) -> str:
    return " ".join(sasl.mechanisms(clear_passwords=announcer.takes_clear_passwords))


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
    Capability(
        "USER", "RFC 2449, section 6.2", is_announced=lambda announcer: announcer.takes_clear_passwords
    ),
    # After login too, though AUTH is over then (RFC 5034, section 3).
    Capability("SASL", "RFC 5034, section 3", parameters=_mechanisms),
    Capability("STLS", "RFC 2595, section 4", is_announced=lambda announcer: announcer.can_start_tls),
    Capability("RESP-CODES", "RFC 2449, section 6.4"),
    Capability("AUTH-RESP-CODE", "RFC 3206, section 6"),
    Capability("PIPELINING", "RFC 2449, section 6.6"),
    Capability(
        "LOGIN-DELAY",
        "RFC 2449, section 6.5",
        parameters=lambda announcer: str(announcer.policy.login_delay_seconds),
        is_announced=lambda announcer: announcer.policy.login_delay_seconds > 0,
    ),
    Capability("EXPIRE", "RFC 2449, section 6.7", parameters=lambda _announcer: "NEVER"),
    Capability("UTF8", "RFC 6856, section 2", parameters=lambda _announcer: "USER"),
    Capability("LANG", "RFC 6856, section 3"),
    # Nobody needs to know the version before having a password (RFC 2449, section 6.9).
    Capability(
        "IMPLEMENTATION",
        "RFC 2449, section 6.9",
        parameters=lambda announcer: announcer.policy.implementation,
        is_announced=_after_login,
    ),
)


# Whoever reaches the port may ask, as often as he likes: the list is made once for each kind of session.
@lru_cache(maxsize=64)
def capability_list(announcer: Announcer) -> bytes:
    """Return the complete reply to CAPA in this session (RFC 2449, section 5)."""
    lines = [row.line(announcer) for row in CAPABILITIES if row.is_announced(announcer)]
    return b"".join([replies.CAPABILITIES_FOLLOW, *lines, TERMINATION_LINE])
