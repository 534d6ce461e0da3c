"""Where a server is, and whom to trust there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from peep_client.protocol.errors import CannotConnect

PORT = 2110
"""Where PEEP listens (PEEP section 2)."""

TLS_PORT = 2995
"""Where Peep listens for PEEP inside TLS."""

CONNECT_SECONDS = 10.0
"""How long a connection with its TLS handshake may take."""

SILENCE_SECONDS = 15.0
"""How long a server may say nothing while a reply is owed. Peep lets repeated wrong passwords wait for
4 s and new mail directories for about 2 s; a list of all users may come for longer, but comes steadily."""

READ_OCTETS = 65536

QUIT_SECONDS = 1.0
"""How long the reply to `q` is waited for: nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Address:
    """One server; `tls` is None in the clear."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    def refusal(self, error: OSError) -> CannotConnect:
        """Return why no connection came about, in words."""
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted: {error.verify_message}"
            return CannotConnect(self.host, self.port, reason, is_certificate=True)
        if isinstance(error, ssl.SSLError):
            reason = f"no TLS there ({error.reason or error})"
        elif isinstance(error, TimeoutError):
            reason = "no answer"
        elif isinstance(error, ConnectionRefusedError):
            reason = "connection refused"
        else:
            reason = error.strerror or str(error)
        return CannotConnect(self.host, self.port, reason)


def address(host: str, port: int | None, tls: bool | ssl.SSLContext) -> Address:
    """Return the address that a caller means.

    Brackets around an IPv6 address are taken off, the port is PEEP's unless given, and TLS without a context
    of the caller's trusts whom the system trusts.
    """
    if tls is True:
        tls = ssl.create_default_context()
    context = tls or None
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    return Address(bare, port if port is not None else TLS_PORT if context else PORT, context)
