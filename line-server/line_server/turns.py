"""Share the turns of the event loop, so that connections with much work do not delay the others."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

BULK_SECONDS = 0.002
"""How much of one turn of the event loop all the bulk takes together. A client that connects or logs in
meanwhile waits for so long in each turn that it needs."""


class Bulk:
    """The queue of callbacks that have had their share of a turn and want to go on, in order of arrival."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_due = False

    def add(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` in a later turn; it must take one share only."""
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
            for _ in range(len(self._waiting)):  # one that is added again has had its share of this turn
                self._waiting.popleft()()
                if time.perf_counter() >= end:
                    break
        finally:
            if self._waiting and not self._is_due:
                self._call_soon()


_bulks: "WeakKeyDictionary[asyncio.AbstractEventLoop, Bulk]" = WeakKeyDictionary()


def bulk() -> Bulk:
    """Return the queue of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _bulks.get(loop)
    if found is None:
        found = _bulks[loop] = Bulk()
    return found
