"""The UPDATE state's work: remove what was marked, as long as the maildrop is surely ours."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pop3_service.maildir import Removal, RemovalFailed, Whereabouts, remove_message
from pop3_service.protocol.maildrop import Message


@dataclass(slots=True)
class Removed:
    """What became of the marked messages: `already_gone` ones were removed by another program."""

    removed: int = 0
    already_gone: int = 0
    failed: int = 0
    withheld: int = 0
    """Not tried, because the lease was no longer sure to hold."""


def remove_marked(maildir: bytes, messages: Iterable[Message], holds_lease: Callable[[], bool]) -> Removed:
    """Remove messages one by one; blocks on the disk.

    The lease is looked at before each one: somebody else may have opened the maildrop since it ended.
    """
    result = Removed()
    whereabouts = Whereabouts()
    for message in messages:
        if not holds_lease():
            result.withheld += 1
            continue
        try:
            outcome = remove_message(maildir, message, whereabouts)
        except RemovalFailed:
            result.failed += 1
            continue
        if outcome is Removal.REMOVED:
            result.removed += 1
        else:
            result.already_gone += 1
    return result
