"""The history of the main figures: samples in rings, and the figures of a span (D98).

A sample holds the counters at one moment, and of each gauge the largest value that was seen in its step.
Rates and quantiles are computed between two samples, so they are exact however far apart these are.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from math import ceil
from operator import lt
from typing import NamedTuple, Self

from state_store.latency import BOUNDS

_BUCKETS = len(BOUNDS) + 1

RECORD = struct.Struct(f"<Q6I6Q{2 * _BUCKETS}I")
"""A sample: its time in ms, gauges, counters, buckets of commands and of logins, these modulo 2**32."""

_COUNTERS, _COMMANDS, _LOGINS = 7, 13, 13 + _BUCKETS
"""Where counters and buckets begin in a sample."""

MOST_POINTS = 10_000
"""The most points of one answer: a year has 8,784 hours."""

CONVENIENT_POINTS = 1500
"""The most points of an answer to a request without a step."""


class Ring(NamedTuple):
    """A string of `length` samples, one for each `step` seconds; that of step n is at n modulo `length`."""

    step: int
    length: int


# A little longer than an hour, a day and a year: the first rate needs a sample before it.
RINGS = (Ring(10, 366), Ring(60, 1446), Ring(3600, 8790))


class Kind(Enum):
    """What a metric's figures are."""

    GAUGE = "gauge"
    """The largest value that was seen in the step."""
    COUNTER = "counter"
    """The counter at the step's last sample; its rate is its growth since the sample before the step."""
    QUANTILE = "quantile"
    """Of the durations since the sample before the step, in seconds."""


class Metric(Enum):
    """The metrics that have a history."""

    CURRENT_CONNECTIONS = "current_connections"
    LOGGED_IN_USERS = "logged_in_users"
    INSTANCES = "instances"
    LOAD = "load"
    STORE_SECONDS = "store_seconds"
    LOOP_LAG_SECONDS = "loop_lag_seconds"
    RETRIEVED_BYTES = "retrieved_bytes"
    RETRIEVED_EMAILS = "retrieved_emails"
    REMOVED_EMAILS = "removed_emails"
    HISTORICAL_CONNECTIONS = "historical_connections"
    HISTORICAL_LOGINS = "historical_logins"
    REFUSED_PASSWORDS = "refused_passwords"
    COMMAND_P50_SECONDS = "command_p50_seconds"
    COMMAND_P99_SECONDS = "command_p99_seconds"
    LOGIN_P50_SECONDS = "login_p50_seconds"
    LOGIN_P99_SECONDS = "login_p99_seconds"

    @property
    def kind(self) -> Kind:
        """What its figures are."""
        if self in _QUANTILES:
            return Kind.QUANTILE
        return Kind.GAUGE if _PLACES[self] < _COUNTERS else Kind.COUNTER


_QUANTILES = {
    Metric.COMMAND_P50_SECONDS: (_COMMANDS, 0.5),
    Metric.COMMAND_P99_SECONDS: (_COMMANDS, 0.99),
    Metric.LOGIN_P50_SECONDS: (_LOGINS, 0.5),
    Metric.LOGIN_P99_SECONDS: (_LOGINS, 0.99),
}
_PLACES = {metric: place for place, metric in enumerate(Metric, 1) if metric not in _QUANTILES}
_PARTS_OF_A_UNIT = {Metric.LOAD: 1e3, Metric.STORE_SECONDS: 1e6, Metric.LOOP_LAG_SECONDS: 1e6}
"""Samples hold whole numbers."""

Sample = Sequence[int]
"""As `RECORD` unpacks it."""


class History:
    """Figures over a span, one for each of its steps, the oldest first.

    `samples` are in order of time, and so are the `ends` of the steps, in seconds since the epoch, each with
    the number of samples up to there.
    """

    def __init__(self, samples: Sequence[Sample], first: int, ends: Sequence[tuple[float, int]]) -> None:
        self._samples = samples
        begins = [first, *(end for _, end in ends)]
        self._steps = [(begin, end) for begin, (_, end) in zip(begins, ends, strict=False)]
        self._ends = [ends_at for ends_at, _ in ends]
        self._pairs = [self._pair(begin, end) for begin, end in self._steps]

    def _pair(self, begin: int, end: int) -> tuple[Sample, Sample] | None:
        """Return a step's last sample and the one before the step; None where they cannot be compared.

        A counter that was higher before is that of a store which was restored since.
        """
        if begin == end or not begin:
            return None
        last, before = self._samples[end - 1], self._samples[begin - 1]
        counters = slice(_COUNTERS, _COMMANDS)
        return None if any(map(lt, last[counters], before[counters])) else (last, before)

    @property
    def times(self) -> list[float]:
        """When the last sample of each step was taken; the step's end where there is none."""
        return [
            self._samples[end - 1][0] / 1000 if begin < end else ends_at
            for (begin, end), ends_at in zip(self._steps, self._ends, strict=True)
        ]

    def values(self, metric: Metric) -> list[float | None]:
        """Return the metric's figure for each step; None where there is no sample."""
        if metric in _QUANTILES:
            return self._quantiles(*_QUANTILES[metric])
        place = _PLACES[metric]
        column = [sample[place] for sample in self._samples]
        if place >= _COUNTERS:
            return [column[end - 1] if begin < end else None for begin, end in self._steps]
        largest = [max(column[begin:end], default=None) for begin, end in self._steps]
        parts = _PARTS_OF_A_UNIT.get(metric)
        return [one if one is None or parts is None else one / parts for one in largest]

    def rates(self, metric: Metric) -> list[float | None]:
        """Return a counter's growth a second in each step; None where that is not known."""
        place = _PLACES[metric]
        return [
            None
            if pair is None
            else round((pair[0][place] - pair[1][place]) / (pair[0][0] - pair[1][0]) * 1000, 3)
            for pair in self._pairs
        ]

    def _quantiles(self, first: int, share: float) -> list[float | None]:
        buckets = slice(first, first + _BUCKETS)
        return [
            None if pair is None else quantile(_grown(pair[0][buckets], pair[1][buckets]), share)
            for pair in self._pairs
        ]


def _grown(last: Sample, before: Sample) -> list[int]:
    return [(now - then) % 2**32 for now, then in zip(last, before, strict=True)]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the duration that this share of those in the buckets does not exceed; None without any."""
    if not any(counts):
        return None
    sums = list(accumulate(counts))
    wanted = share * sums[-1]
    bucket = bisect_left(sums, wanted)
    if bucket == len(BOUNDS):
        return BOUNDS[-1]  # or longer: the last bucket has no upper bound
    lower = BOUNDS[bucket - 1] if bucket else 0.0
    inside = 1 - (sums[bucket] - wanted) / counts[bucket]
    return round(lower + (BOUNDS[bucket] - lower) * inside, 6)


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to `end`, in seconds since the epoch, in steps of whole `step` seconds."""

    start: float
    end: float
    step: int
    ring: Ring

    @classmethod
    def of(cls, start: float, end: float, step: int, now: float) -> Self:
        """Return a span in the finest ring that reaches back to `start`, with a multiple of that ring's step.

        A `step` of 0 stands for the shortest that makes at most `CONVENIENT_POINTS`.
        """
        ring = next((ring for ring in RINGS if now - ring.step * ring.length <= start), RINGS[-1])
        wanted = step or (end - start) / CONVENIENT_POINTS
        return cls(start, end, max(1, ceil(wanted / ring.step)) * ring.step, ring)

    @property
    def points(self) -> int:
        """How many steps that is."""
        return ceil(self.end / self.step) - int(self.start // self.step)

    def of_samples(self, packed: bytes) -> History:
        """Return the history that is in its ring."""
        whole = len(packed) // RECORD.size * RECORD.size
        samples = sorted(sample for sample in RECORD.iter_unpack(packed[:whole]) if sample[0])
        times = [sample[0] / 1000 for sample in samples]
        begins_at = int(self.start // self.step) * self.step
        ends = [begins_at + number * self.step for number in range(1, self.points + 1)]
        return History(
            samples, bisect_right(times, begins_at), [(one, bisect_right(times, one)) for one in ends]
        )
