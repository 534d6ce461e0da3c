"""One who listens to events: what waits to be sent, and whether that is over."""

import asyncio
import re
from collections import deque

MAX_WAITING_CHUNKS = 64
"""What may be left unread, beside the socket's own buffers: about a minute of counters."""

# At most 18 digits: what the store would not take for an id is none.
_ACTIVITY_ID = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")


class Subscription:
    """A listener; `last_event_id` is the last event that it has had, None when it has had none.

    It lasts as long as `password_hash` is that of the `administrator`, and as the dashboard's sign-in with
    this id, if it was opened with one.
    """

    def __init__(
        self,
        administrator: str,
        password_hash: str,
        last_event_id: str | None,
        sign_in_id: str | None = None,
    ) -> None:
        self.administrator = administrator
        self.password_hash = password_hash
        self.sign_in_id = sign_in_id
        self.last_event_id = last_event_id if _ACTIVITY_ID.fullmatch(last_event_id or "") else None
        self.ended = asyncio.Event()
        self.is_cut_off = False
        self._waiting: deque[bytes] = deque()
        self._changed = asyncio.Event()

    def put(self, chunk: bytes) -> None:
        """Let `chunk` wait to be sent; a subscriber that has left too much unread is cut off instead."""
        if len(self._waiting) >= MAX_WAITING_CHUNKS:
            self.is_cut_off = True
            self.end()
        elif not self.ended.is_set():
            self._waiting.append(chunk)
            self._changed.set()

    def end(self) -> None:
        """Let the stream end after what waits."""
        self.ended.set()
        self._changed.set()

    async def next_chunk(self, seconds: float) -> bytes | None:
        """Return what waits, once something does; empty after `seconds` without; None at the end."""
        if not self._waiting and not self.ended.is_set():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                return b""
        chunk = b"".join(self._waiting)
        self._waiting.clear()
        return chunk or None
