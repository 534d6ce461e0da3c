"""Ratios between servers over rounds measured in turns, and the format of figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sections import Json

PARTS = 3
"""The rounds of a row are divided into so many parts, in the order of time. Anything may disturb a single
round; where the medians of the parts differ, the machine was not quiet, and the median of all says little."""

LARGEST_SPREAD = 0.1
"""Of the medians of a row's parts, if it has a goal."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median over all rounds, with the smallest and the largest of the medians of their parts."""

    median: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.smallest:.2f} to {self.largest:.2f})"

    @property
    def spread(self) -> float:
        """How far the medians of the parts are from each other, as a part of the median of all."""
        return (self.largest - self.smallest) / self.median

    def as_json(self) -> dict[str, Json]:
        """Return the three numbers."""
        return {"median": self.median, "smallest": self.smallest, "largest": self.largest}


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Return how many times as much they need as Peep, round by round.

    One may have been measured in fewer rounds than the other: the first ones.
    """
    each = [their / our for their, our in zip(theirs, ours, strict=False)]
    parts, rounds = min(PARTS, len(each)), len(each)
    medians = [median(each[part * rounds // parts : (part + 1) * rounds // parts]) for part in range(parts)]
    return Ratio(median(each), min(medians), max(medians))


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio to the fastest of Dovecot's modes, which is named, and the goal for it; 0 if there is none.

    `bound` is the ratio of a server that costs what the kernel and Valkey alone do.
    """

    label: str
    goal: float
    ratio: Ratio
    bound: float | None = None
    dovecot: str = ""

    def as_json(self) -> dict[str, Json]:
        """Return the data for the picture and the table of goals."""
        own: dict[str, Json] = {
            "label": self.label,
            "goal": self.goal,
            "bound": self.bound,
            "dovecot": self.dovecot,
        }
        return {**own, **self.ratio.as_json()}


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure that shall not exceed a limit, for the table of goals."""

    label: str
    limit: float
    value: float

    def as_json(self) -> dict[str, Json]:
        """Return the data for the table of goals."""
        return {"label": self.label, "limit": self.limit, "value": self.value}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """Return a Markdown table whose first `texts` columns are text and whose others are figures."""
    lines = [head, ["---"] * texts + ["---:"] * (len(head) - texts), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def figure(value: float) -> str:
    """Return a number with at least three significant digits and no superfluous decimals."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
