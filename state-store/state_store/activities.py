"""What happens, as operators watch it: the newest of it is remembered."""

from dataclasses import dataclass
from enum import Enum


class ActivityKind(Enum):
    """The kinds of activity that the store remembers."""

    LOGIN = "login"
    """Details: `username`, `session`, `instance`, `address`."""
    LOGOUT = "logout"
    """A maildrop is free again, for any reason. Details: `username`, `session`, `instance`."""
    SETTING = "setting"
    """Details: `name`, a field of `Settings`, and `value`."""
    REFUSED = "refused"
    """Wrong passwords. Details: `username` of the last one, empty for an administrator's, `network`,
    `reason`, and `count`, their number from this network since the last such activity."""
    REFUSAL = "refusal"
    """What is refused has changed. Details: `action` (suspend, ban, exempt, lift, or end: its time was over),
    `refusal` (suspend, ban, exempt), `subject`, `by`, `reason`, `until` (ms since the epoch, or 0), and
    `count`: so many were set or ended at once, and the rest is about the last of them."""
    HEALTH = "health"
    """Something that is watched has become bad, worse or well. Details: those of `health.HealthChange`."""
    SLOWED = "slowed"
    """Guesses have begun to be slowed. Details: `username`, empty for all users who have not logged in from
    `network` lately, and `network`, empty for all networks that the user has not logged in from lately."""


ACTIVITY_LENGTH = 1000
"""At least so many activities are remembered, the latest ones."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that has happened; its id grows, and only `activity_after` compares ids."""

    activity_id: str
    kind: ActivityKind
    at: float
    """Seconds since the epoch, by the store's clock."""
    details: dict[str, str]
