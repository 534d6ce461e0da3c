"""Durations of commands and logins, counted in buckets, so that the counts of all processes can be added."""

from bisect import bisect_left
from collections.abc import Mapping

from state_store.credentials.attempts import RefusalReason
from state_store.records import Histogram

_MILLISECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)

BOUNDS = tuple(milliseconds / 1000 for milliseconds in _MILLISECONDS)
"""Upper bounds of the buckets, in seconds; a last one takes what was slower."""


class LatencyRecorder:
    """Counts durations in one process between two calls of `take`."""

    __slots__ = ("_counts", "_seconds")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def record(self, seconds: float) -> None:
        """Count one command or login that took so long."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def take(self, name: str) -> dict[str, int]:
        """Return what was counted, as the fields to which the store adds it, and begin again at 0."""
        fields = {f"{name} {bucket}": count for bucket, count in enumerate(self._counts) if count}
        if fields:
            fields[f"{name} us"] = round(self._seconds * 1e6)
        self._counts = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        return fields


def refused(fields: Mapping[str, str] | Mapping[str, int]) -> dict[str, int]:
    """Return the numbers of refused logins, by reason, from these fields of the store."""
    return {reason.value: int(fields.get(refused_field(reason), 0)) for reason in RefusalReason}


def refused_field(reason: RefusalReason) -> str:
    """Return the store's field that counts logins refused for this reason."""
    return f"refused {reason.value}"


DAMAGED_UNIQUE_IDS = "damaged unique-ids"
"""The store's field that counts logins to maildirs with a damaged `peep-unique-ids`."""


def histogram(name: str, fields: Mapping[str, str] | Mapping[str, int]) -> Histogram:
    """Return the histogram that these fields of the store hold under `name`."""
    counts = (int(fields.get(f"{name} {bucket}", 0)) for bucket in range(len(BOUNDS) + 1))
    return Histogram(BOUNDS, tuple(counts), int(fields.get(f"{name} us", 0)) / 1e6)
