"""A timer that is cheap to set and to restart, however many there are."""

import asyncio
import math
from typing import Protocol

ROUND_SECONDS = 1.0
"""Deadlines that are due in the same second share a timer of the event loop. A timer of its own takes 700
octets and as much time as all the rest of a deadline; it is for those that do expire in the second that has
begun."""


class Timers:
    """The timers of all deadlines of one event loop, by the second in which they are due."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop if loop is not None else asyncio.get_running_loop()
        self._rounds: dict[int, _Round] = {}

    def join_round(self, deadline: "Deadline", due: float) -> "_Round | None":
        """Check the deadline again when the second begins in which it is due; None if that has begun."""
        number = int(due / ROUND_SECONDS)
        found = self._rounds.get(number)
        if found is None:
            begins = number * ROUND_SECONDS
            if begins <= self.loop.time():
                return None
            found = self._rounds[number] = _Round(number, self.loop.call_at(begins, self._begin, number))
        found.deadlines.add(deadline)
        return found

    def leave(self, joined: "_Round", deadline: "Deadline") -> None:
        """Check the deadline no longer."""
        joined.deadlines.discard(deadline)
        if not joined.deadlines:
            joined.timer.cancel()
            self._rounds.pop(joined.number, None)

    def _begin(self, number: int) -> None:
        for deadline in self._rounds.pop(number).deadlines:
            deadline.set_again()


class _Round:
    """The deadlines that are due in one second, and the timer that checks them when it begins."""

    __slots__ = ("deadlines", "number", "timer")

    def __init__(self, number: int, timer: asyncio.TimerHandle) -> None:
        self.number = number
        self.timer = timer
        self.deadlines: set[Deadline] = set()


class Expiring(Protocol):
    """What a deadline is for."""

    def expired(self) -> None:
        """End, or be touched and set the deadline anew: its time has passed."""


class Deadline:
    """Calls its owner's `expired` once: when `seconds` have passed since the last `touch`, or at a limit.

    Every command touches the deadline of its session, so `touch` only stores the time: when it is due it is
    looked at again. No touch moves the limit. The moment of expiry is exact.
    """

    __slots__ = ("_last", "_limit", "_owner", "_seconds", "_timer", "_timers")

    def __init__(self, timers: Timers, owner: Expiring) -> None:
        self._timers = timers
        self._owner: Expiring | None = owner
        self._last = timers.loop.time()
        self._seconds = self._limit = math.inf
        self._timer: asyncio.TimerHandle | _Round | None = None

    @property
    def is_at_limit(self) -> bool:
        """Whether the limit has come that no touch moves."""
        return self._limit <= self._timers.loop.time()

    def allow(self, seconds: float | None) -> None:
        """Set the seconds that may pass since the last touch; None for no limit."""
        self._seconds = math.inf if seconds is None else seconds
        self._stop()
        self.set_again()

    def expire_within(self, seconds: float) -> None:
        """Expire in so many seconds at the latest, whatever touches it. In force from the next `allow`."""
        self._limit = self._timers.loop.time() + seconds

    def lift_limit(self) -> None:
        """Go by the touches alone from now on."""
        self._limit = math.inf  # the timer that is set finds it not due

    def touch(self) -> None:
        """Restart the time."""
        self._last = self._timers.loop.time()

    def end(self) -> None:
        """Never expire again, and let go of the owner.

        They refer to each other. Without this the cyclic garbage collector would have to free them, and it
        pauses the process.
        """
        self._stop()
        self._owner = None

    def set_again(self) -> None:
        """Set the timer anew; the one before has fired."""
        due = min(self._last + self._seconds, self._limit)
        if due == math.inf:
            self._timer = None
            return
        self._timer = self._timers.join_round(self, due) or self._timers.loop.call_at(due, self._check)

    def _stop(self) -> None:
        timer, self._timer = self._timer, None
        if isinstance(timer, _Round):
            self._timers.leave(timer, self)
        elif timer is not None:
            timer.cancel()

    def _check(self) -> None:
        if min(self._last + self._seconds, self._limit) > self._timers.loop.time():
            self.set_again()
        else:
            self._timer = None
            if self._owner is not None:
                self._owner.expired()
