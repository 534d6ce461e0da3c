"""The wire form of events (HTML standard, section 9.2), made once for all listeners."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from state_api import schemas
from state_api.times import time_of
from state_store.activities import Activity
from state_store.repository.monitoring import Overview

MEDIA_TYPE = "text/event-stream"

RECONNECT_MILLISECONDS = 1000
"""How long browsers wait before they connect again: a restarted process is ready by then."""

RETRY = f"retry: {RECONNECT_MILLISECONDS}\n".encode()
"""A line before the first event."""

GAP = b"event: gap\ndata: {}\n\n"
KEEP_ALIVE = b": still here\n\n"


def position(activity_id: str) -> bytes:
    """Return an id without an event: browsers send it as Last-Event-ID when they connect again."""
    return f"id: {activity_id}\n\n".encode()


def counters(now: Overview, at: float) -> bytes:
    """Return the counters as `/v1/counters` shows them, with what was there at the same moment."""
    shown = schemas.Overview(
        **asdict(now.counters), at=time_of(at), max_connections=now.max_connections, users=list(now.logged_in)
    )
    return _event("counters", shown.model_dump_json())


def store(*, is_up: bool) -> bytes:
    """Return the event that the store is away, or back."""
    return _event("store", _json({"up": is_up}))


def activities(read: Iterable[Activity], *, is_gap: bool) -> bytes:
    """Return an event for each activity, after a `GAP` where `is_gap`: earlier ones are lost."""
    return (GAP if is_gap else b"") + b"".join(map(_activity, read))


def _activity(activity: Activity) -> bytes:
    at = time_of(activity.at).isoformat().replace("+00:00", "Z")
    return _event(activity.kind.value, _json({**activity.details, "at": at}), activity.activity_id)


def _event(name: str, data: str, event_id: str = "") -> bytes:
    identified = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\n{identified}data: {data}\n\n".encode()


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"))
