"""Times as people type and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from peepctl.sources import WrongSettings

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(option: str, text: str | None, *, is_ahead: bool = False) -> datetime | None:
    """Return the time that an option names: `2026-11-29`, `2026-11-29T14:00`, or `2h` for two hours ago.

    If it `is_ahead`, `2h` is in two hours. A time without a zone is this machine's. Raises `WrongSettings`.
    """
    if text is None:
        return None
    span = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    try:
        if span is None:
            return datetime.fromisoformat(text).astimezone()
        length = timedelta(**{_UNITS[span[2]]: int(span[1])})
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
