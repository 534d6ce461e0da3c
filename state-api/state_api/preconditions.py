"""Lost updates: entity tags and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1)."""

import re
from collections.abc import Sequence

from fastapi.exceptions import RequestValidationError

_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ENTITY_TAGS = re.compile(rf"[\t ,]*{_ENTITY_TAG}(?:[\t ]*,[\t ,]*{_ENTITY_TAG})*[\t ,]*")

PATTERN = r'^((W/)?"[!#-~]*"|\*)$'
"""An item of the header, for documentation: what is taken is a little more."""


def entity_tag(version: int) -> str:
    """Return the strong tag of what has this version."""
    return f'"{version}"'


def fits(if_match: Sequence[str], version: int) -> bool:
    """Return whether what has this version may be changed under the lines of an `If-Match` header.

    A weak tag never fits. Raises `RequestValidationError` for what is no list of tags.
    """
    # A tag may hold commas, which then are no list's: so a line is never split at them.
    text = ",".join(if_match)
    if text.strip() == "*":
        return True
    if not _ENTITY_TAGS.fullmatch(text):
        message = 'must be entity tags in double quotes separated by commas, as "7", or *'
        raise RequestValidationError([{"type": "value_error", "loc": ("header", "If-Match"), "msg": message}])
    return entity_tag(version) in re.findall(_ENTITY_TAG, text)
