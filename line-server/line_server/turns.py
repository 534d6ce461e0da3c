"""Turns of the event loop, shared out so that bulk keeps nobody waiting who has come anew."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

BULK_SECONDS = 0.002
"""How much of one turn of the event loop goes to all those together who want more than their share of one:
whoever connects or logs in meanwhile waits for so long in each of the few turns that it takes."""


class Bulk:
    """The queue of those who have had their share of a turn and want to go on; who came first is first."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_due = False

    def add(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` in a turn to come; it takes one share and no more."""
        self._waiting.append(go_on)
        if not self._is_due:
            self._call_soon()

    def _call_soon(self) -> None:
        self._is_due = True
        asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._is_due = False
        end = time.perf_counter() + BULK_SECONDS
        try:
            for _ in range(len(self._waiting)):  # who comes back at once has had a share of this turn
                self._waiting.popleft()()
                if time.perf_counter() >= end:
                    break
        finally:
            if self._waiting and not self._is_due:
                self._call_soon()


_bulks: "WeakKeyDictionary[asyncio.AbstractEventLoop, Bulk]" = WeakKeyDictionary()


def bulk() -> Bulk:
    """Return the queue of the event loop that runs."""
    loop = asyncio.get_running_loop()
    found = _bulks.get(loop)
    if found is None:
        found = _bulks[loop] = Bulk()
    return found
