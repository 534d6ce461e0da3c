"""Let other threads run while one goes through many files."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

FILES_AT_ONCE = 128
NAMES_AT_ONCE = 1024
"""One to two milliseconds each."""

WAY_SECONDS = 50e-6

_Item = TypeVar("_Item")


def giving_way(items: Iterable[_Item], at_once: int = FILES_AT_ONCE) -> Iterator[_Item]:
    """Yield these items; after every so many of them the other threads run (D68)."""
    # Each call of the system releases the interpreter's lock, but takes it back within microseconds, before
    # a thread that waits for it has woken up.
    for number, item in enumerate(items, 1):
        yield item
        if number % at_once == 0:
            time.sleep(WAY_SECONDS)
