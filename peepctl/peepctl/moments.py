"""Times as people type and read them."""

import re
from datetime import UTC, datetime, timedelta

from peepctl.sources import WrongSettings

DAY = 86_400
"""Seconds."""

_API_TIME = r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}


def span(text: str) -> int | None:
    """Return a span of time such as `90s`, `30m` or `30min`, `24h`, `7d`, `4w`, `1y` in seconds, or None."""
    found = re.fullmatch(r"([0-9]{1,9})(s|m|min|h|d|w|y)", text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def moment(option: str, text: str | None, *, is_ahead: bool = False) -> datetime | None:
    """Return the time that an option names: `2026-11-29`, `2026-11-29T14:00`, or `2h` for two hours ago.

    If it `is_ahead`, `2h` is in two hours. A time without a zone is this machine's. Raises `WrongSettings`.
    """
    if text is None:
        return None
    seconds = span(text)
    try:
        if seconds is None:
            return datetime.fromisoformat(text).astimezone()
        length = timedelta(seconds=seconds)
        return datetime.now(UTC) + (length if is_ahead else -length)
    except (ValueError, OverflowError):
        where = "from now" if is_ahead else "ago"
        raise WrongSettings(
            f"{option} {text}: give a day as 2026-11-29, a time as 2026-11-29T14:00, or 90m, 2h, 7d {where}"
        ) from None


def utc_minute(text: str) -> str:
    """Return a time of the HTTP API as people read it, in UTC: `2026-11-29 14:00 UTC`."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M UTC")


def local_second(text: str) -> str:
    """Return a time of the HTTP API as people read it, in this machine's zone: `2026-11-29 15:00:07`."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def local_seconds(sentence: str) -> str:
    """Return a sentence of the HTTP API with its times as `local_second` has them."""
    return re.sub(_API_TIME, lambda found: local_second(found[0]), sentence)
