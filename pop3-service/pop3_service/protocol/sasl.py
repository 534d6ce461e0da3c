"""SASL as POP3 carries it (RFC 5034): mechanisms, base64 lines, and what PLAIN's one message says.

The mathematics of SCRAM needs the user's verifier, and is not done here.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

PLAIN: Final = "PLAIN"
SCRAM_SHA_256: Final = "SCRAM-SHA-256"

MAXIMUM_RESPONSE_LINE_OCTETS: Final = 12_288
"""The longest line of a client's response, CRLF counted: RFC 5034 sets no limit but that of its
mechanisms, and 12,288 octets is what RFC 4954, section 4, gives the same exchange in SMTP."""

CANCEL: Final = b"*"
EMPTY_INITIAL_RESPONSE: Final = "="


def mechanisms(*, clear_passwords: bool) -> tuple[str, ...]:
    """Return the names of the mechanisms that a client may use now."""
    return (PLAIN, SCRAM_SHA_256) if clear_passwords else (SCRAM_SHA_256,)


def listing(names: Iterable[str]) -> bytes:
    """Return the lines that name mechanisms, as AUTH without an argument is answered."""
    return b"".join([name.encode("ascii") + b"\r\n" for name in names])


def decode(response: bytes) -> bytes | None:
    """Return what a base64 line stands for, None when it is not well formed (RFC 5034, section 4)."""
    try:
        return binascii.a2b_base64(response, strict_mode=True)
    except binascii.Error:
        return None


def challenge(octets: bytes = b"") -> bytes:
    """Return the line that carries a challenge: a plus sign, one space, base64 (RFC 5034, section 4)."""
    return b"+ " + base64.b64encode(octets) + b"\r\n"


@dataclass(frozen=True, slots=True)
class PlainMessage:
    """What PLAIN's one message says (RFC 4616, section 2)."""

    authorization_identity: str
    """Whose maildrop to open; empty for that of `username`."""
    username: str
    password: str = field(repr=False)


def plain_message(octets: bytes) -> PlainMessage | None:
    """Return what the octets of PLAIN's message say, None when they are not one."""
    try:
        parts = octets.decode().split("\0")
    except UnicodeDecodeError:
        return None
    if len(parts) != 3 or not (parts[1] and parts[2]):
        return None
    return PlainMessage(*parts)


def scram_message(octets: bytes) -> str | None:
    """Return the text of a SCRAM message (RFC 5802, section 7), None when it is none."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    return text or None
