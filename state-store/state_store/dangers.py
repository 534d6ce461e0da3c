"""What a change of settings would do to users: asked about before it is made."""

import posixpath
from collections.abc import Mapping

SHORT_TIMEOUT_SECONDS = 60

LARGE_CUT = 10
"""A limit below this part of the one before is asked about, however few are connected now, as at night. Both
are known over PEEP and HTTP; the most that were connected is in the history, which PEEP lacks."""


def dangers(
    changes: Mapping[str, int | str], now: Mapping[str, int | str], open_connections: int
) -> dict[str, str]:
    """Return why a person should think twice, by field of `records.Settings`; empty for a harmless change."""
    found: dict[str, str] = {}
    before = int(now["max_connections"])
    limit = int(changes.get("max_connections", before))
    if limit != before and limit < open_connections:
        found["max_connections"] = (
            f"{open_connections} connections are open now: until fewer than {limit} are left, nobody else "
            "can connect"
        )
    elif limit * LARGE_CUT < before:
        found["max_connections"] = (
            f"{limit} is less than a tenth of {before}, the limit in force: no more than that "
            "will be connected at once"
        )
    seconds = changes.get("timeout_seconds", now["timeout_seconds"])
    if seconds != now["timeout_seconds"] and int(seconds) == 0:
        found["timeout_seconds"] = (
            "0 means no timeout: a client that is gone without a word keeps its connection, and its "
            "maildrop's lock, until the system notices"
        )
    elif seconds != now["timeout_seconds"] and int(seconds) < SHORT_TIMEOUT_SECONDS:
        found["timeout_seconds"] = (
            f"{seconds} seconds close sessions of clients that are only slow; RFC 1939 asks for at least 600"
        )
    present = str(now["mail_directory"])
    directory = str(changes.get("mail_directory", present))
    if present and directory and posixpath.normpath(directory) != posixpath.normpath(present):
        found["mail_directory"] = (
            f"{directory} is where mail would be looked for from the next login on: whoever has no maildir "
            f"there finds no messages, and what is in {present} is not shown"
        )
    return found
