"""A timer that is cheap to restart."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `expired` once when `seconds` have passed since the last `touch`.

    Every command touches the deadline of its session, so `touch` only stores the time. The loop's timer is
    set again when it fires too early. The moment of expiry is exact.
    """

    __slots__ = ("_expired", "_handle", "_last", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._last = loop.time()
        self._handle: asyncio.TimerHandle | None = None

    def allow(self, seconds: float | None) -> None:
        """Set the seconds that may pass since the last touch; None for no limit."""
        self._stop()
        if seconds is not None:
            self._handle = self._loop.call_at(self._last + seconds, self._check, seconds)

    def touch(self) -> None:
        """Restart the time."""
        self._last = self._loop.time()

    def end(self) -> None:
        """Never expire again, and drop `expired`.

        A connection and its deadline refer to each other. Without this the cyclic garbage collector would
        have to free them, and it pauses the process.
        """
        self._stop()
        self._expired = _nothing

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _check(self, seconds: float) -> None:
        due = self._last + seconds
        if due > self._loop.time():
            self._handle = self._loop.call_at(due, self._check, seconds)
        else:
            self._handle = None
            self._expired()


def _nothing() -> None:
    """Replace the `expired` of a deadline that has ended."""
