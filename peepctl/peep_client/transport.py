"""What both clients need around their sockets: limits, the server's address, the failures of a connection."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from peep_client.protocol.errors import (
    CannotConnect,
    ConnectionLost,
    InvalidArgument,
    NegativeReply,
    NotSupported,
    TimedOut,
)

PORT = 2110
"""The port of PEEP (PEEP section 2)."""

TLS_PORT = 2995
"""The port on which Peep serves PEEP inside TLS."""

CONNECT_SECONDS = 10.0
"""How long connecting may take, the TLS handshake included."""

SILENCE_SECONDS = 15.0
"""How long a server that owes a reply may send nothing. Peep delays wrong passwords by up to 4 s and checks
a new mail directory for about 2 s; a list of all users may take longer, but its lines arrive steadily."""

READ_OCTETS = 65536

QUIT_SECONDS = 1.0
"""How long `close` waits for the reply to `q`: nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Address:
    """One server; `tls` is None in the clear."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    def refusal(self, error: OSError) -> CannotConnect:
        """Return the error to raise when connecting failed with `error`."""
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
    """Return the address for the arguments of `connect`.

    An IPv6 address may stand in brackets, the port defaults to PEEP's, and `tls=True` means a context with
    the system's certificates.
    """
    if tls is True:
        tls = ssl.create_default_context()
    context = tls or None
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    return Address(bare, port if port is not None else TLS_PORT if context else PORT, context)


@contextmanager
def hanging_up_on_failure(hang_up: Callable[[], None], silence_seconds: float) -> Iterator[None]:
    """Turn failures of the socket into `TimedOut` and `ConnectionLost`, and close the connection.

    Any other exception closes it as well: a reply that is still owed would be taken for the next command's.
    Only errors after which all replies have been read leave it open.
    """
    try:
        yield
    except (InvalidArgument, NegativeReply, NotSupported):
        raise
    except BaseException as error:
        hang_up()
        if isinstance(error, TimeoutError):
            raise TimedOut(silence_seconds) from error
        if isinstance(error, OSError):
            raise ConnectionLost(f"the connection broke off: {error.strerror or error}") from error
        raise
