"""What one server offers and demands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of a server that its clients see; the same for all sessions at one port."""

    implementation: str
    """The server's name and version, as CAPA gives them after login: `Peep-1.2.3`."""
    offers_tls: bool = False
    """STLS is possible: there is a certificate."""
    requires_tls: bool = False
    """Passwords in the clear are refused."""
    login_delay_seconds: int = 0
    """How long a user must wait between two logins, or 0 (RFC 2449, section 6.5)."""
