"""Passwords beyond ASCII: one form for text that can be typed in several (RFC 8265, OpaqueString)."""

import functools
import itertools
import sys
import unicodedata

MAX_CHARACTERS = 128
"""PEEP's limit (section 2.1), counted after preparation and without combining marks: composing takes some
characters apart, never into more than one that is no mark."""

LONGEST = 3 * MAX_CHARACTERS
"""Combining marks included: no text of `MAX_CHARACTERS` becomes longer than this in preparation."""

_REFUSED_CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible formatting character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
    "Cs": "half of a surrogate pair",
    "Co": "a private-use character",
    "Cn": "an unassigned character",
}
"""The characters outside RFC 8264's FreeformClass, by Unicode category. Its rules for neighbouring characters
are not applied, so a few more strings are accepted than RFC 8265 allows."""

_PATTERN_REFUSES = _REFUSED_CATEGORIES.keys() - {"Cs"}
"""Without halves of surrogate pairs: most engines of regular expressions do not know them as characters."""


class UnusablePassword(ValueError):
    """The text cannot be a password; the message says why, and never quotes it."""


def opaque_string(text: str) -> str:
    """Return `text` as it is hashed and compared: spaces beyond ASCII become U+0020, then NFC.

    Printable ASCII is unchanged, so a password set over PEEP is the same one over HTTP; one with a space can
    be set only over HTTP. Preparing twice changes nothing more.

    Raises `UnusablePassword` for an empty text, one of more than `MAX_CHARACTERS`, or one with characters
    that cannot be typed reliably. Every text that matches `pattern` and has at most `MAX_CHARACTERS` before
    preparation can be prepared.
    """
    if text.isascii() and text.isprintable() and 1 <= len(text) <= MAX_CHARACTERS:
        return text
    # Composing makes a text at most 3 times as long or a third as long: this bound keeps a request's 64 KiB
    # away from the normaliser.
    if len(text) > 3 * LONGEST:
        raise UnusablePassword(_wrong_length())
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    prepared = unicodedata.normalize("NFC", spaced)
    characters = sum(not unicodedata.category(character).startswith("M") for character in prepared)
    if not 1 <= len(prepared) <= LONGEST or characters > MAX_CHARACTERS:
        raise UnusablePassword(_wrong_length())
    _refuse_unusable(prepared)
    return prepared


@functools.cache
def pattern() -> str:
    r"""Return the regular expression, in ECMA-262's dialect and Python's, of the characters that are taken.

    It lists the refused ones, by Python's version of Unicode: `\p{C}` depends on the reader's version.
    """
    refused, code = "", 0
    categories = map(unicodedata.category, map(chr, range(sys.maxunicode + 1)))
    for is_refused, run in itertools.groupby(map(_PATTERN_REFUSES.__contains__, categories)):
        first, code = code, code + len(list(run))
        if is_refused:
            refused += f"{_spelled(first)}-{_spelled(code - 1)}"
    return f"^[^{refused}]+$"


def _spelled(code: int) -> str:
    # The dialects agree on this way only up to U+FFFF.
    return f"\\u{code:04x}" if code <= 0xFFFF else chr(code)


def _refuse_unusable(text: str) -> None:
    for character in text:
        reason = _REFUSED_CATEGORIES.get(unicodedata.category(character))
        if reason is not None:
            raise UnusablePassword(f"must not contain {reason}")


def _wrong_length() -> str:
    return f"must have 1 to {MAX_CHARACTERS} characters"
