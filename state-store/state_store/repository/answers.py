"""The forms in which Redis gives and takes hashes, and how often it is polled."""

from collections.abc import Mapping, Sequence
from typing import Any

AGREED = "1"
"""An instance's answer to a mail directory that it can use; earlier versions answer 0 to any other."""

POLL_SECONDS = 0.01


def pairs(answer: Any) -> dict[str, str]:
    """Return a hash, which comes as a flat list from scripts and as a mapping from RESP3's HGETALL."""
    return dict(answer) if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


def seconds_of(time: Sequence[Any]) -> float:
    """Return the time that TIME answers, in seconds since the epoch."""
    seconds, microseconds = time
    return int(seconds) + int(microseconds) / 1e6


def stream_position(entry_id: str) -> tuple[int, int]:
    """Return what ids of a stream are compared by: milliseconds since the epoch, and a number."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def flat(fields: Mapping[str, Any]) -> list[Any]:
    """Return a hash as scripts take it: names and values in turn."""
    return [word for pair in fields.items() for word in pair]
