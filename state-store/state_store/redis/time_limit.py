"""A limit for how long a server may take, which does not run while we ourselves stand still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_PARTS = 4
"""The limit passes in so many parts, each begun after the one before: a pause of ours is one at most."""


@asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """Raise `TimeoutError` when what is done inside takes longer than `seconds`.

    An event loop that was kept from turning, by thousands of clients at once or by a machine that stood
    still, finds the answer and the end of the limit at the same moment. With `asyncio.timeout` the end would
    come first, and a server that has answered long ago would be called silent.
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
