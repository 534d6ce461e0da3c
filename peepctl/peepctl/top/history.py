"""Rates calculated from samples of the counters."""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from peep_client import Counters

MINUTE = 60.0

MAX_SAMPLES = 400
"""More than a minute at the shortest interval, and more points than the widest sparkline shows."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters at one time, in seconds of a monotonic clock."""

    at: float
    counters: Counters


class History:
    """The latest samples. `name` in its methods is a field of `Counters`."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)

    @property
    def last(self) -> Counters | None:
        """The counters of the latest sample; None without any."""
        return self._samples[-1].counters if self._samples else None

    def add(self, at: float, counters: Counters) -> None:
        """Add a sample. If the counters have gone back, the server was reset and the history starts again."""
        last = self.last
        if last is not None and counters.historical_connections < last.historical_connections:
            self._samples.clear()
        self._samples.append(Sample(at, counters))

    def per_second(self, name: str) -> float | None:
        """Return a counter's growth per second between the last two samples; None without two."""
        series = self.series(name, 1)
        return series[-1] if series else None

    def per_minute(self, name: str) -> float | None:
        """Return a counter's growth in the last minute, extrapolated while the history is shorter."""
        if len(self._samples) < 2:
            return None
        last = self._samples[-1]
        first = next(sample for sample in self._samples if last.at - sample.at <= MINUTE)
        return _rate(first, last, name) * MINUTE if last.at > first.at else None

    def series(self, name: str, points: int) -> list[float]:
        """Return the growth per second between successive samples, the last `points` values at most."""
        samples = list(self._samples)[-points - 1 :]
        return [_rate(earlier, later, name) for earlier, later in pairwise(samples) if later.at > earlier.at]


def _rate(earlier: Sample, later: Sample, name: str) -> float:
    grown: int = getattr(later.counters, name) - getattr(earlier.counters, name)
    return max(grown, 0) / (later.at - earlier.at)
