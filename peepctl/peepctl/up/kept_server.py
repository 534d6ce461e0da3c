"""Restarts of the embedded server when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from peepctl.up.embedded import EmbeddedServer, EmbeddedServerError
from service_runtime.child_process import Ending

STARTS_ALLOWED = 3  # after so many failures in a row, another start would fail too
FIRST_PAUSE_SECONDS = 0.1  # doubled for each end soon after a start, and for each start that failed
LONGEST_PAUSE_SECONDS = 5.0
SOON_SECONDS = 10.0  # a server that runs longer has recovered


async def keep_running(server: EmbeddedServer, say: Callable[[str], None]) -> str:
    """Restart `server` whenever it ends; return the failure once three starts in a row have failed.

    Each end is reported to `say` in one line.
    """
    clock = asyncio.get_running_loop().time
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = clock()
        ending = Ending("the embedded server", await asyncio.to_thread(server.wait))
        pause = FIRST_PAUSE_SECONDS if clock() - began > SOON_SECONDS else _longer(pause)
        say(f"{ending}: starting it again with its data; the services wait")
        await asyncio.sleep(pause)
        if (failure := await _start_again(server)) is not None:
            return failure


async def _start_again(server: EmbeddedServer) -> str | None:
    pause = FIRST_PAUSE_SECONDS
    for remaining in reversed(range(STARTS_ALLOWED)):
        try:
            await asyncio.to_thread(server.start_again)
            return None
        except (EmbeddedServerError, OSError) as error:
            failure = str(error)
        if remaining:
            await asyncio.sleep(pause := _longer(pause))
    return f"{STARTS_ALLOWED} starts in a row have failed: {failure}"


def _longer(pause: float) -> float:
    return min(2 * pause, LONGEST_PAUSE_SECONDS)
