"""What one server offers and demands: the same for all sessions that come in at one port."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """A server's choices, as far as clients are told of them."""

    implementation: str
    """The server's name and version, as CAPA gives them after login: `Peep-1.2.3`."""
    offers_tls: bool = False
    """STLS can be done: there is a certificate."""
    requires_tls: bool = False
    """Passwords in the clear are refused."""
    login_delay_seconds: int = 0
    """How long a user has to wait between two logins, 0 for no time (RFC 2449, section 6.5)."""
