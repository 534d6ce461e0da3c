"""Waits until all live instances apply a change."""

import asyncio

from state_store.redis.client import RedisClient
from state_store.repository.answers import POLL_SECONDS

OBEYED_SECONDS = 1.0
"""How long a change waits for this."""


async def until_obeyed(client: RedisClient, version: int) -> bool:
    """Return True once every live instance applies this version, False if one has not done so in time.

    One that is cut off applies it when it is back.
    """
    end = asyncio.get_running_loop().time() + OBEYED_SECONDS
    while not await client.script("obeyed", version):
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True
