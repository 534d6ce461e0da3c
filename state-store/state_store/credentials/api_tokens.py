"""The texts of API tokens: how they are made, recognised and kept."""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "peep_"
"""By this, and by the checksum at the end, programs find tokens that were published by mistake."""

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS = 43
"""256 bits."""

_CHECKSUM_CHARACTERS = 6
_TOKEN = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_CHARACTERS + _CHECKSUM_CHARACTERS}}}")


def new_token() -> str:
    """Return a new token: the prefix, 256 random bits, and a checksum (CRC-32) of both."""
    head = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
    return head + _checksum(head)


def is_token(text: str) -> bool:
    """Return whether a text has the form and the checksum of a token."""
    return (
        bool(_TOKEN.fullmatch(text))
        and _checksum(text[:-_CHECKSUM_CHARACTERS]) == text[-_CHECKSUM_CHARACTERS:]
    )


def token_digest(token: str) -> str:
    """Return what is kept of a token.

    A fast hash is enough: nobody can try 2^256 tokens, and there is no shorter list to try, as there is of
    passwords. So a request with a token costs no more than one without.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(text: str) -> str:
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_CHARACTERS):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
