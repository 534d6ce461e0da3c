"""What a connection goes through before its first line."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from line_server.proxy_header import TrustedProxies


@dataclass(frozen=True, slots=True)
class Entrance:
    """One listening port's way in: first the proxy's header, where there is one, then TLS, where there is.

    `tls` gives the context for the next handshake: certificates may change while we run. With
    `proxies` every connection must come from one of them and begin with a PROXY header.
    """

    tls: Callable[[], ssl.SSLContext] | None = None
    proxies: TrustedProxies | None = None


PLAIN = Entrance()
"""Lines from the first octet on."""
