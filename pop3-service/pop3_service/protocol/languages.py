"""The languages in which replies are written (RFC 6856, section 3): English."""

from typing import Final

TAG: Final = "en"
LISTING: Final = b"en English\r\n"
"""The lines of the reply to LANG without an argument: language tag and name."""


def matching(language_range: str) -> str | None:
    """Return the tag of the language for a basic language range, None when there is none.

    A range is shortened at its end until it matches, so `en-GB` gives `en` (RFC 4647, section 3.4). `*` gives
    the server's choice.
    """
    wanted = language_range.lower()
    return TAG if wanted in ("*", TAG) or wanted.startswith(f"{TAG}-") else None
