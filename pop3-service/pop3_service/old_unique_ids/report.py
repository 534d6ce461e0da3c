"""What `unique-ids import` says about each user, and about all of them."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

NONE_FOUND = "none found: look at PEEP_MAIL_DIR and PEEP_MAILDIR_LAYOUT"


class Outcome(Enum):
    """What became of a user's unique-ids."""

    WRITTEN = "written"
    WOULD_BE_WRITTEN = "would be written"
    ALREADY_THERE = "already there"
    NO_MESSAGES = "no messages"
    NONE_ANNOUNCED = "none announced"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UserReport:
    """How the import of one user went; all numbers but `gone` and `skipped` count messages in the maildir."""

    user: str
    outcome: Outcome
    reason: str = ""
    """Why it failed."""
    source: str = ""
    """The file that was read, or `names` for the names of the messages' files."""
    evidence: str = ""
    """What the unique-ids are made from, and why that was assumed."""
    messages: int = 0
    kept: int = 0
    """Messages that keep their unique-id."""
    following: int = 0
    """Messages without an old unique-id, or with an uncertain one: they come after the others."""
    outside: int = 0
    """Messages whose unique-id RFC 1939 does not allow, or is of the form of Peep's own: they get Peep's."""
    duplicates: int = 0
    """Messages whose unique-id another message has: they get Peep's."""
    renamed: int = 0
    """Messages that get such a unique-id with a number behind it, as Dovecot can do it."""
    unmatched: int = 0
    """Unique-ids whose message could not be identified with certainty."""
    gone: int = 0
    """Messages of the old server that are no longer there."""
    skipped: int = 0
    """Lines that the old server itself would skip."""
    note: str = ""

    @property
    def is_well(self) -> bool:
        """Whether every message that the old server announced keeps its unique-id, as far as can be told."""
        faults = self.outside + self.duplicates + self.renamed + self.unmatched
        return self.outcome is not Outcome.FAILED and not faults

    def line(self, told: str = "") -> str:
        """Return the report in a line for people, without the evidence if an earlier line has `told` it."""
        if self.outcome is Outcome.FAILED:
            return f"{self.user}  NOTHING WRITTEN: {self.reason}"
        if self.outcome is Outcome.NO_MESSAGES:
            return f"{self.user}  no messages: nothing to do"
        if self.outcome is Outcome.NONE_ANNOUNCED:
            return (
                f"{self.user}  none of {self.messages:,} messages was announced: they get Peep's unique-ids"
            )
        parts = [f"{self.kept:,} of {self.messages:,} messages keep their unique-ids ({self.outcome.value})"]
        parts += [text.format(number) for number, text in self._counts() if number]
        parts.append(f"from {self.source}" + (f": {self.evidence}" if self.evidence != told else ""))
        parts += [self.note] if self.note else []
        return f"{self.user}  " + "; ".join(parts)

    def _counts(self) -> Iterable[tuple[int, str]]:
        return (
            (self.following, "{:,} more follow with Peep's"),
            (
                self.outside,
                "{:,} GET PEEP'S: RFC 1939 does not allow the old unique-id, or it looks like Peep's",
            ),
            (self.duplicates, "{:,} GET PEEP'S: another message has the old unique-id"),
            (
                self.renamed,
                "{:,} SHARED A UNIQUE-ID and get it with a number, as pop3_uidl_duplicates=rename does",
            ),
            (self.unmatched, "{:,} OLD UNIQUE-IDS ARE LOST: several messages have the same octets"),
            (self.gone, "{:,} of the old server's messages gone"),
            (self.skipped, "{:,} lines are no records, and the old server skips them too"),
        )

    def fields(self) -> dict[str, object]:
        """Return the report for programs."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "outcome": self.outcome.value,
            "is_well": self.is_well,
        }


class Summary:
    """All users' reports added up."""

    def __init__(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._messages = self._kept = self._not_well = 0

    def add(self, report: UserReport) -> None:
        """Add a user's report."""
        self._outcomes[report.outcome] += 1
        self._messages += report.messages
        self._kept += report.kept
        self._not_well += not report.is_well

    @property
    def is_well(self) -> bool:
        """Whether all reports are well, and there is one."""
        return bool(self._outcomes) and not self._not_well

    def line(self) -> str:
        """Return the sums in a line for people."""
        outcomes = ", ".join(
            f"{self._outcomes[each]:,} {each.value}" for each in Outcome if self._outcomes[each]
        )
        look = f"; LOOK AT {self._not_well:,}: their lines say why" if self._not_well else ""
        total = self._outcomes.total()
        return (
            f"{total:,} users: {outcomes or NONE_FOUND}; {self._kept:,} of {self._messages:,} messages keep"
            f" their unique-ids{look}"
        )

    def fields(self) -> dict[str, object]:
        """Return the sums for programs."""
        return {
            "users": self._outcomes.total(),
            "outcomes": {each.value: self._outcomes[each] for each in Outcome},
            "messages": self._messages,
            "kept": self._kept,
            "not_well": self._not_well,
            "is_well": self.is_well,
        }


class Progress:
    """One line on a terminal's standard error that says how far it is; elsewhere nothing."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._is_shown = sys.stderr.isatty()

    def show(self) -> None:
        """Say that one more user begins."""
        self._done += 1
        if self._is_shown:
            print(f"\r{self._done:,} of {self._total:,} users", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Make room for a line of the report."""
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
