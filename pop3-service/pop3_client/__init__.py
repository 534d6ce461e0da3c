"""A POP3 client that reads maildrops of other servers and changes nothing there.

It streams messages, checks certificates, and limits what a server may send: lines, listings, and how slowly.
The standard library's poplib blocks, refuses lines of over 2,048 octets, and returns messages whole.
"""

from pop3_client.address import Pop3Address, Security
from pop3_client.client import Pop3Client, TimeLimits, tls_context
from pop3_client.protocol.errors import (
    ConnectionLost,
    InvalidArgument,
    LoginPutOff,
    Misbehaved,
    Pop3Error,
    Refused,
    Unreachable,
    WrongLogin,
)
from pop3_client.protocol.listings import ListedMessage

__all__ = [
    "ConnectionLost",
    "InvalidArgument",
    "ListedMessage",
    "LoginPutOff",
    "Misbehaved",
    "Pop3Address",
    "Pop3Client",
    "Pop3Error",
    "Refused",
    "Security",
    "TimeLimits",
    "Unreachable",
    "WrongLogin",
    "tls_context",
]
