"""When the next exchange begins: at once, after a short delay, or after what else arrives meanwhile."""

import asyncio
from collections.abc import Callable

STEP_SECONDS = 0.001
SPACING_SECONDS = 0.008
"""Exchanges are batched: up to 8 ms after the last one the next is put off in steps of 1 ms while new work
keeps arriving. A lone client never waits: whether others are at work shows within one turn of the event loop.
Under load about ten sessions share an exchange, half of whose cost does not depend on what it carries."""


class Pacing:
    """Wakes the one task that exchanges, and lets work gather before each exchange.

    `noted` returns a figure that grows with the work that is noted, and falls back with each exchange.
    """

    def __init__(self, noted: Callable[[], int], clock: Callable[[], float]) -> None:
        self._noted = noted
        self._clock = clock
        self._last_exchange = -SPACING_SECONDS
        self._wake = asyncio.Event()
        self._timers: dict[float, asyncio.TimerHandle] = {}

    def wake(self) -> None:
        """Have an exchange begin as soon as possible."""
        self._wake.set()

    def wake_within(self, seconds: float) -> None:
        """Have an exchange begin after `seconds` at the latest."""
        # Called several times a session: one timer for each of the few delays, set once an exchange.
        if seconds not in self._timers:
            self._timers[seconds] = asyncio.get_running_loop().call_later(seconds, self._wake.set)

    async def until_woken(self, deadline: float) -> None:
        """Return when woken, or at `deadline` by `clock`."""
        timer = asyncio.get_running_loop().call_later(max(deadline - self._clock(), 0.0), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def gather(self) -> None:
        """Wait while more work keeps arriving, up to `SPACING_SECONDS` after the last exchange."""
        noted, step = -1, 0.0  # the first step is one turn of the event loop
        while self._clock() < self._last_exchange + SPACING_SECONDS and noted != (newer := self._noted()):
            noted = newer
            await asyncio.sleep(step)
            step = STEP_SECONDS
        self._last_exchange = self._clock()
        self._wake.clear()

    def exchange_begins(self) -> None:
        """Stop the delays: the exchange that begins takes along everything that they were set for."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
