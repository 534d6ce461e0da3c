"""Wait at a service's start until Redis can be reached."""

import asyncio
import contextlib
import random
from urllib.parse import urlsplit

import structlog

from state_store.errors import StoreUnavailable
from state_store.repository import StateRepository

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
"""Short enough that a service is ready soon after Redis, long enough that many replicas do no harm."""


async def prepare_patiently(
    repository: StateRepository,
    log: structlog.typing.FilteringBoundLogger,
    url: str,
    stopping: asyncio.Event,
) -> bool:
    """Prepare the repository as soon as Redis can be reached; return False when `stopping` came first.

    The log says once that we wait, and for which address, and later that Redis is there. Raises
    `StoreUnusable` when Redis answers but can never serve us.
    """
    pause_seconds = FIRST_PAUSE_SECONDS
    is_waiting = False
    while not stopping.is_set():
        try:
            await repository.prepare()
        except StoreUnavailable as error:
            if not is_waiting:
                log.warning("waiting for redis", redis=address_of(url), reason=str(error))
            is_waiting = True
        else:
            if is_waiting:
                log.info("redis is there", redis=address_of(url))
            return True
        await pause(pause_seconds, stopping)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
    return False


def address_of(url: str) -> str:
    """Return where Redis is, for people to read: no user name, password or option of the URL."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Wait for half to all of `seconds`, or until `stopping` is set."""
    # Without the jitter all replicas would come back to a restarted Redis at the same moment.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), random.uniform(seconds / 2, seconds))  # noqa: S311
