"""Measurements are made anew, whole, until their rounds agree."""

from collections.abc import Callable
from typing import TypeVar

from ratios import LARGEST_SPREAD
from sections import Options

_Found = TypeVar("_Found")

ATTEMPTS = 3


def steady(
    options: Options, what: str, measure: Callable[[], _Found], spread: Callable[[_Found], float]
) -> _Found:
    """Return what `measure` finds once its rounds spread little enough, at the latest after `ATTEMPTS`.

    Nothing is kept of the attempts before. A quick run has one.
    """
    for attempt in range(1, ATTEMPTS + 1):
        found = measure()
        found_spread = spread(found)
        if found_spread <= LARGEST_SPREAD or options.is_quick:
            break
        if attempt < ATTEMPTS:
            options.progress.say(f"{what}: rounds spread over {found_spread:.0%}, so it is measured anew")
    return found
