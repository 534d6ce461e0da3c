"""Waiting for a state that another task or process brings about."""

import asyncio
from collections.abc import Callable

SECONDS = 20
"""Far more than any state takes, even on a busy machine."""


async def until(holds: Callable[[], bool]) -> None:
    """Return once `holds` says so. Raises `TimeoutError` when it does not within `SECONDS`."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.002)
