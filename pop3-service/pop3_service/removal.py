"""The UPDATE state's work: remove what was marked, as long as the maildrop is surely ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pop3_service.maildir import Maildir, MovedMessages, QuotaTally, Removal, RemovalFailed, removal_from
from pop3_service.protocol.maildrop import Message


@dataclass(slots=True)
class Removed:
    """What became of the marked messages: `already_gone` ones were removed by another program."""

    removed: int = 0
    already_gone: int = 0
    failed: int = 0
    withheld: int = 0
    """Not tried, because the lease was no longer sure to hold."""
    quota_fault: str = ""
    """Why the maildir's own count of its mail (`maildirsize`) is not true any more; empty if all is well."""


def remove_marked(maildir: Maildir, messages: Sequence[Message], holds_lease: Callable[[], bool]) -> Removed:
    """Remove messages one by one; blocks on the disk.

    The lease is looked at before each one: somebody else may have opened the maildrop since it ended.
    """
    result, tally = Removed(), QuotaTally()
    try:
        with removal_from(maildir, MovedMessages(), tally) as remove:
            for message in messages:
                if holds_lease():
                    _remove_one(message, remove, result)
                else:
                    result.withheld += 1
    except RemovalFailed:  # nothing of this maildir can be removed
        result.failed = len(messages)
    result.quota_fault = tally.fault
    return result


def _remove_one(message: Message, remove: Callable[[Message], Removal], result: Removed) -> None:
    try:
        outcome = remove(message)
    except RemovalFailed:
        result.failed += 1
        return
    if outcome is Removal.REMOVED:
        result.removed += 1
    else:
        result.already_gone += 1
