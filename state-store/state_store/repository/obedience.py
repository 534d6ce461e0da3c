"""How a change of what instances go by waits for them."""

import asyncio

from state_store.redis.client import RedisClient
from state_store.repository.answers import POLL_SECONDS

OBEYED_SECONDS = 1.0
"""How long a change waits for every live instance to take note of it."""


async def until_obeyed(client: RedisClient, version: int) -> bool:
    """Return True once every live instance obeys this version, False if one has not done so in time.

    One that is dead or cut off obeys when it is back.
    """
    end = asyncio.get_running_loop().time() + OBEYED_SECONDS
    while not await client.script("obeyed", version):
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True
