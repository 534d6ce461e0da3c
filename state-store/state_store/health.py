"""Changes of health, as the store keeps them (D120)."""

from dataclasses import dataclass
from typing import NamedTuple

HEALTH_CHANGES_KEPT = 1000
"""Only the latest are kept. Changes at one moment are one entry for each check and state."""

HEALTH_TURN_SECONDS = 30.0
"""How long the process that has the turn to check health may be silent before another one gets it."""

WELL = "ok"
"""The state of all checks that are not noted as bad."""


class NewHealthChange(NamedTuple):
    """A check whose state differs from the noted one."""

    name: str
    subject: str
    """Which one of several; empty where there is one."""
    before: str
    """The noted state, `WELL` where none is; the change is only made if it is still noted."""
    state: str
    text: str
    """The state in words."""


@dataclass(frozen=True, slots=True)
class HealthChange:
    """A change of checks of one name at one moment."""

    at: float
    """Seconds since the epoch, by the store's clock."""
    name: str
    subject: str
    """Of the first of them."""
    state: str
    text: str
    count: int
    """How many checks of this name changed to this state at once; the other fields are those of the first."""
