"""Changes of the health that operators watch, as they are remembered (D120)."""

from dataclasses import dataclass
from typing import NamedTuple

HEALTH_CHANGES_KEPT = 1000
"""The latest ones. Changes that come together are one for each check and state, so that they are few."""

HEALTH_TURN_SECONDS = 30.0
"""For so long the process that watches may be silent until another one does."""

WELL = "ok"
"""The state of whatever is not noted as bad."""


class NewHealthChange(NamedTuple):
    """A check whose state is another one than is noted."""

    name: str
    subject: str
    """Which one of several; empty where there is one."""
    before: str
    """The state that is noted, `WELL` where none is: only from there it is changed."""
    state: str
    text: str
    """How it is, in words."""


@dataclass(frozen=True, slots=True)
class HealthChange:
    """What has changed at one moment about checks of one name."""

    at: float
    """Seconds since the epoch, by the store's clock."""
    name: str
    subject: str
    """Of the first of them."""
    state: str
    text: str
    count: int
    """So many checks of this name have changed to this state at once; the rest is about the first of them."""
