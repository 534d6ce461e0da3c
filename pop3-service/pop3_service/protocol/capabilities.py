"""The table of capabilities, and the reply to CAPA (RFC 2449)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from pop3_service.protocol import replies, sasl
from pop3_service.protocol.commands import State
from pop3_service.protocol.multiline import TERMINATION_LINE
from pop3_service.protocol.policy import Policy


class Circumstances(NamedTuple):
    """What the capabilities of a session depend on."""

    state: State
    policy: Policy
    can_start_tls: bool
    """Whether STLS is possible now."""
    takes_clear_passwords: bool
    """Whether passwords are accepted without SCRAM: the connection is encrypted, or need not be."""


def _always(_session: Circumstances) -> bool:
    return True


def _after_login(session: Circumstances) -> bool:
    return session.state is State.TRANSACTION


def _mechanisms(session: Circumstances) -> str:
    return " ".join(sasl.mechanisms(clear_passwords=session.takes_clear_passwords))


@dataclass(frozen=True, slots=True)
class Capability:
    """A row of the table: a keyword, its parameters, and the sessions in which CAPA lists it."""

    keyword: str
    rfc: str
    parameters: Callable[[Circumstances], str] = lambda _session: ""
    is_listed: Callable[[Circumstances], bool] = _always

    def line(self, session: Circumstances) -> bytes:
        """Return the line in the reply to CAPA, with its CRLF."""
        return f"{self.keyword} {self.parameters(session)}".rstrip().encode("ascii") + b"\r\n"


CAPABILITIES: Final = (
    Capability("TOP", "RFC 2449, section 6.1"),
    Capability("UIDL", "RFC 2449, section 6.8"),
    Capability("USER", "RFC 2449, section 6.2", is_listed=lambda session: session.takes_clear_passwords),
    # Also after login, when AUTH is no longer possible (RFC 5034, section 3).
    Capability("SASL", "RFC 5034, section 3", parameters=_mechanisms),
    Capability("STLS", "RFC 2595, section 4", is_listed=lambda session: session.can_start_tls),
    Capability("RESP-CODES", "RFC 2449, section 6.4"),
    Capability("AUTH-RESP-CODE", "RFC 3206, section 6"),
    Capability("PIPELINING", "RFC 2449, section 6.6"),
    Capability(
        "LOGIN-DELAY",
        "RFC 2449, section 6.5",
        parameters=lambda session: str(session.policy.login_delay_seconds),
        is_listed=lambda session: session.policy.login_delay_seconds > 0,
    ),
    Capability("EXPIRE", "RFC 2449, section 6.7", parameters=lambda _session: "NEVER"),
    Capability("UTF8", "RFC 6856, section 2", parameters=lambda _session: "USER"),
    Capability("LANG", "RFC 6856, section 3"),
    # After login only: strangers need not know the version (RFC 2449, section 6.9).
    Capability(
        "IMPLEMENTATION",
        "RFC 2449, section 6.9",
        parameters=lambda session: session.policy.implementation,
        is_listed=_after_login,
    ),
)


# Strangers may ask as often as they like, so each list is made once.
@lru_cache(maxsize=64)
def capability_list(session: Circumstances) -> bytes:
    """Return the complete reply to CAPA (RFC 2449, section 5)."""
    lines = [row.line(session) for row in CAPABILITIES if row.is_listed(session)]
    return b"".join([replies.CAPABILITIES_FOLLOW, *lines, TERMINATION_LINE])
