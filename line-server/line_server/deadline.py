"""A timer that is cheap to push back."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `expired` once when `seconds` have passed since the last `touch`.

    Every command of every session touches its deadline, so a touch only notes the time; the loop's
    timer is moved when it fires too early. The moment of expiry is exact all the same.
    """

    __slots__ = ("_expired", "_handle", "_last", "_loop", "_seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._seconds: float | None = None
        self._last = loop.time()
        self._handle: asyncio.TimerHandle | None = None

    def allow(self, seconds: float | None) -> None:
        """Set the time that may pass since the last touch, None for any."""
        self._seconds = seconds
        self._stop()
        if seconds is not None:
            self._handle = self._loop.call_at(self._last + seconds, self._check)

    def touch(self) -> None:
        """Start the time anew."""
        self._last = self._loop.time()

    def end(self) -> None:
        """Never expire again, and let go of whoever was to be told.

        They hold each other: a connection that did not end its deadline would have to be found by the
        garbage collector, which stops everybody while it looks.
        """
        self._stop()
        self._expired = _tell_nobody

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _check(self) -> None:
        assert self._seconds is not None
        due = self._last + self._seconds
        if due > self._loop.time():
            self._handle = self._loop.call_at(due, self._check)
        else:
            self._handle = None
            self._expired()


def _tell_nobody() -> None:
    """Stand in for whom a deadline told."""
