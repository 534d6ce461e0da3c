"""Waits at a service's start until Redis can be reached."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import structlog

from service_runtime.lifecycle import Lifecycle
from state_store.errors import StoreUnavailable
from state_store.redis import address
from state_store.repository import StateRepository

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.5
"""Short enough that a service is ready soon after Redis, long enough that many replicas are no load."""


async def prepare_patiently(
    repository: StateRepository,
    log: structlog.typing.FilteringBoundLogger,
    url: str,
    lifecycle: Lifecycle,
    first_steps: Callable[[], Awaitable[None]] | None = None,
) -> bool:
    """Prepare the repository as soon as Redis can be reached; return False when a stop came first.

    It counts as prepared once `first_steps`, too, have succeeded, which may run more than once: a Redis that
    is out of memory, for example, answers and takes no writes. The log and systemd have the address and the
    reason of the wait, again when the reason changes, and the log its end. Raises `StoreUnusable` when Redis
    answers but can never serve us.
    """
    pause_seconds = FIRST_PAUSE_SECONDS
    logged_reason: str | None = None
    shown = address.parse(url).shown
    while not lifecycle.stopping.is_set():
        try:
            await repository.prepare()
            if first_steps is not None:
                await first_steps()
        except StoreUnavailable as error:
            if str(error) != logged_reason:
                log.warning("waiting for redis", redis=shown, reason=str(error))
                lifecycle.waits(f"waiting for redis at {shown}: {error}")
            logged_reason = str(error)
        else:
            if logged_reason is not None:
                log.info("redis is there", redis=shown)
            return True
        await _pause(pause_seconds, lifecycle.stopping)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
    return False


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    """Wait for half to all of `seconds`, or until `stopping` is set."""
    # Without the jitter all replicas would connect to a restarted Redis at the same moment.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), random.uniform(seconds / 2, seconds))  # noqa: S311
