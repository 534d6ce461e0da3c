"""A time limit for a server's answer that does not run while our own process stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_PARTS = 4
"""The limit runs in so many parts, one after the other: a pause of ours uses up one part at most."""


@asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """Raise `TimeoutError` when the block takes longer than `seconds`.

    An event loop that was blocked, by thousands of clients at once or by a machine that stood still, finds
    the answer and the end of the limit at the same moment. With `asyncio.timeout` the end would come first,
    although the server has answered long ago.
    """
    async with asyncio.timeout(None) as limit:
        countdown = _Countdown(limit, seconds)
        try:
            yield
        finally:
            countdown.stop()


class _Countdown:
    """Ends a limit after all its parts."""

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit = limit
        self._part_seconds = seconds / _PARTS
        self._loop = asyncio.get_running_loop()
        self._begin_part(_PARTS)

    def stop(self) -> None:
        """Leave the limit without an end."""
        self._timer.cancel()

    def _begin_part(self, parts_left: int) -> None:
        if parts_left:
            self._timer = self._loop.call_later(self._part_seconds, self._begin_part, parts_left - 1)
        else:
            self._limit.reschedule(self._loop.time())
