"""Ratios between servers, from rounds that were measured in turns, and how figures are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sections import Json


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median over all rounds, with the smallest and the largest."""

    median: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.smallest:.2f} to {self.largest:.2f})"

    def as_json(self) -> dict[str, Json]:
        """Return the three numbers."""
        return {"median": self.median, "smallest": self.smallest, "largest": self.largest}


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Return how many times as much they need as we, round by round."""
    each = [their / our for their, our in zip(theirs, ours, strict=True)]
    return Ratio(median(each), min(each), max(each))


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio to Dovecot that the picture shows, and the goal for it; 0 where there is none."""

    label: str
    goal: float
    ratio: Ratio

    def as_json(self) -> dict[str, Json]:
        """Return what the picture and the table of goals are made from."""
        return {"label": self.label, "goal": self.goal, **self.ratio.as_json()}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """Return a Markdown table, of which the first `texts` columns are text and the others figures."""
    lines = [head, ["---"] * texts + ["---:"] * (len(head) - texts), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def figure(value: float) -> str:
    """Return a number with three significant digits or more, and no more decimals than they need."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
