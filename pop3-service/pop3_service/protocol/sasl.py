"""SASL in POP3 (RFC 5034): mechanisms, base64 lines, and the message of PLAIN.

SCRAM is computed elsewhere: it needs the user's verifier.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

PLAIN: Final = "PLAIN"
SCRAM_SHA_256: Final = "SCRAM-SHA-256"

MAXIMUM_RESPONSE_LINE_OCTETS: Final = 12_288
"""The longest line of a client's response, CRLF counted. RFC 5034 sets no limit except that of its
mechanisms; this one is the limit for the same exchange in SMTP (RFC 4954, section 4)."""

CANCEL: Final = b"*"
EMPTY_INITIAL_RESPONSE: Final = "="


def mechanisms(*, clear_passwords: bool) -> tuple[str, ...]:
    """Return the names of the mechanisms that a client may use now."""
    return (PLAIN, SCRAM_SHA_256) if clear_passwords else (SCRAM_SHA_256,)


def listing(names: Iterable[str]) -> bytes:
    """Return the lines of the reply to AUTH without an argument, one for each mechanism."""
    return b"".join([name.encode("ascii") + b"\r\n" for name in names])


def decode(response: bytes) -> bytes | None:
    """Return the octets of a base64 line, None when it is not well formed (RFC 5034, section 4)."""
    try:
        return binascii.a2b_base64(response, strict_mode=True)
    except binascii.Error:
        return None


def challenge(octets: bytes = b"") -> bytes:
    """Return the line with a challenge: a plus sign, a space, base64 (RFC 5034, section 4)."""
    return b"+ " + base64.b64encode(octets) + b"\r\n"


@dataclass(frozen=True, slots=True)
class PlainMessage:
    """The message of PLAIN (RFC 4616, section 2)."""

    authorization_identity: str
    """The user whose maildrop to open; empty for `username`."""
    username: str
    password: str = field(repr=False)


def plain_message(octets: bytes) -> PlainMessage | None:
    """Return the message of PLAIN in these octets, None when they are not one."""
    try:
        parts = octets.decode().split("\0")
    except UnicodeDecodeError:
        return None
    if len(parts) != 3 or not (parts[1] and parts[2]):
        return None
    return PlainMessage(*parts)


def scram_message(octets: bytes) -> str | None:
    """Return the text of a SCRAM message (RFC 5802, section 7), None when it is not one."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    return text or None
