"""Times as the API shows them."""

from datetime import UTC, datetime


def time_of(seconds: float) -> datetime:
    """Return the moment that is so many seconds after the epoch."""
    return datetime.fromtimestamp(seconds, UTC)
