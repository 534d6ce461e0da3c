"""What comes before the lines of each connection to one port."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from line_server.proxy_header import TrustedProxies


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """A port's options: a PROXY header, TLS, both or neither.

    `tls` returns the context for the next handshake: certificates may change meanwhile. With `proxies` every
    connection must come from one of them and begin with a PROXY header.
    """

    tls: Callable[[], ssl.SSLContext] | None = None
    proxies: TrustedProxies | None = None


PLAIN = ListenerOptions()
