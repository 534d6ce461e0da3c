"""How slow this machine is, so that a limit in seconds means the same work on each."""

import statistics
import time
from collections.abc import Callable

REFERENCE_SECONDS = 0.025
"""What the work takes with Debian's CPython 3.11 on a core of 2023 that does nothing else."""

ROUNDS = 9
CALLS = 100_000


def slowness(clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how many times as long as on the reference machine Python's work takes here, at least 1.

    `clock` is that of the limit: other work of the machine takes time, but no time of a process.
    """
    return max(1.0, statistics.median(_seconds(clock) for _ in range(ROUNDS)) / REFERENCE_SECONDS)


def _seconds(clock: Callable[[], float]) -> float:
    """Return the time that calls, dictionaries, octets and small objects take."""
    names, total = {b"name%d" % number: number for number in range(20)}, 0
    began = clock()
    for number in range(CALLS):
        word, _, rest = (b"LOOK name%d" % (number % 20)).partition(b" ")
        total += names[rest] + len(word)
    return clock() - began
