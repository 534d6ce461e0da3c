"""Where a POP3 server is, and how TLS begins there."""

import ipaddress
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from pop3_client.protocol.errors import InvalidArgument


class Security(Enum):
    """When TLS begins."""

    NONE = "in the clear"
    STLS = "after STLS"
    TLS = "at once"


_SECURITIES = {
    ("pop3s", ""): Security.TLS,
    ("pop3", ""): Security.NONE,
    ("pop3", "stls"): Security.STLS,
}
_FORMS = "must be pop3s://HOST[:PORT], pop3://HOST[:PORT]?stls or pop3://HOST[:PORT]"
_PORTS = {Security.NONE: 110, Security.STLS: 110, Security.TLS: 995}


@dataclass(frozen=True, slots=True)
class Pop3Address:
    """A server's host, port, and when TLS begins."""

    host: str
    port: int
    security: Security

    @classmethod
    def parse(cls, url: str) -> "Pop3Address":
        """Return the address in `pop3s://HOST[:PORT]`, `pop3://HOST[:PORT]` or `pop3://HOST[:PORT]?stls`.

        Raises `InvalidArgument`, whose text does not quote the URL.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise InvalidArgument(_FORMS) from None
        security = _SECURITIES.get((parts.scheme, parts.query.lower()))
        is_more = bool(parts.path.strip("/") or parts.fragment or "@" in parts.netloc)
        if not host or security is None or port == 0 or is_more:
            raise InvalidArgument(_FORMS)
        return cls(host, port or _PORTS[security], security)

    @property
    def is_private(self) -> bool:
        """Return whether nobody on the way can read a password: inside TLS, or on this machine."""
        if self.security is not Security.NONE or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """Return host and port as people write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
