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
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def begin_part(parts_left: int) -> None:
        nonlocal timer
        if parts_left:
            timer = loop.call_later(seconds / _PARTS, begin_part, parts_left - 1)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        begin_part(_PARTS)
        try:
            yield
        finally:
            timer.cancel()
