"""UPDATE: removes the marked messages while the maildrop is surely ours; the result answers QUIT."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pop3_service.maildir import Maildir, MovedMessages, QuotaTally, Removal, RemovalFailed, removal_from
from pop3_service.maildir.giving_way import giving_way
from pop3_service.protocol.intentions import UpdateOutcome
from pop3_service.protocol.maildrop import Message


@dataclass(slots=True)
class Removed:
    """What became of the marked messages. Those that another program had removed already count as neither."""

    removed: int = 0
    failed: int = 0
    withheld: int = 0
    """Not tried, because the lease was no longer sure to hold."""
    quota_fault: str = ""
    """Why the maildir's own count of its mail (`maildirsize`) is not true any more; empty if all is well."""

    @property
    def outcome(self) -> UpdateOutcome:
        """The outcome for the session."""
        if self.withheld and not self.removed:
            return UpdateOutcome.LOCK_LOST
        return UpdateOutcome.SOME_NOT_REMOVED if self.failed + self.withheld else UpdateOutcome.ALL_REMOVED


def remove_marked(maildir: Maildir, messages: Sequence[Message], holds_lease: Callable[[], bool]) -> Removed:
    """Remove messages one by one; blocks on the disk.

    The lease is checked before each one: another session may have opened the maildrop since it ended.
    """
    result, tally = Removed(), QuotaTally()
    try:
        with removal_from(maildir, MovedMessages(), tally) as remove:
            for message in giving_way(messages):
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
        if remove(message) is Removal.REMOVED:
            result.removed += 1
    except RemovalFailed:
        result.failed += 1
