"""Times as the API shows them."""

from datetime import UTC, datetime

LAST_SECOND = 253_402_300_799.0
"""Of the year 9999 in UTC. Whoever is west of Greenwich can name later moments, which nothing can show."""


def time_of(seconds: float) -> datetime:
    """Return the moment that is so many seconds after the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def time_if_any(seconds: float) -> datetime | None:
    """Return the moment that is so many seconds after the epoch; None for 0, which stands for no time."""
    return time_of(seconds) if seconds else None


def checked_end(moment: datetime) -> datetime:
    """Return a moment at which something is to end. Raises `ValueError` for one that cannot be shown."""
    if moment.timestamp() > LAST_SECOND:
        raise ValueError("must be before the end of the year 9999 (UTC); leave it out for no end")
    return moment
