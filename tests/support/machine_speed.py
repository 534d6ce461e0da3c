"""How slow this machine is, so that a limit in seconds means the same work on each."""

import statistics
import time

REFERENCE_SECONDS = 0.025
"""What the work takes with Debian's CPython 3.11 on a core of 2023 that does nothing else."""

ROUNDS = 9
CALLS = 100_000


def slowness() -> float:
    """Return how many times as long as on the reference machine Python's work takes here, at least 1."""
    return max(1.0, statistics.median(_seconds() for _ in range(ROUNDS)) / REFERENCE_SECONDS)


def _seconds() -> float:
    """Return the time that calls, dictionaries, octets and small objects take."""
    names, total = {b"name%d" % number: number for number in range(20)}, 0
    began = time.perf_counter()
    for number in range(CALLS):
        word, _, rest = (b"LOOK name%d" % (number % 20)).partition(b" ")
        total += names[rest] + len(word)
    return time.perf_counter() - began
