"""The queues in which this process's login attempts wait for their allowances (P18)."""

import asyncio
from collections import deque
from contextlib import suppress

from state_store.credentials.attempts import Attempt, Decision, Outcome, RefusalReason, Verdict
from state_store.credentials.presence import Presence
from state_store.errors import SlowedDown, StateError
from state_store.repository.attempts import AttemptRepository

LINE_LENGTH = 64
"""The most attempts that wait for one allowance; more are refused at once. Each holds a connection, and so
takes a slot of the limit `c=` from other clients."""


class _Place:
    """An attempt's place in the queue for an allowance."""

    __slots__ = ("allowance", "is_called", "wake")

    def __init__(self, allowance: str) -> None:
        self.allowance = allowance
        self.is_called = False
        """Whether to ask the store before the time that it has named."""
        self.wake = asyncio.Event()

    def call(self) -> None:
        self.is_called = True
        self.wake.set()


class Guard:
    """Lets attempts pass as the store decides.

    Attempts that wait for one allowance stand in one queue. Only the first asks the store again, at the time
    that the store has named. The store knows nothing of the queue, so an attempt that gives up leaves nothing
    behind.
    """

    def __init__(self, repository: AttemptRepository) -> None:
        self._repository = repository
        self._lines: dict[str, deque[_Place]] = {}

    async def begin(
        self, attempt: Attempt, presence: Presence, patience_ends: float, *, as_unknown: bool = False
    ) -> Decision:
        """Return once the attempt may be checked, or is known to be wrong.

        Raises `SlowedDown` at `patience_ends`, by the event loop's clock, when too many wait already, and
        when the client leaves.
        """
        place: _Place | None = None
        is_first = True
        try:
            while True:
                decision = await self._repository.begin_attempt(
                    attempt, ahead=self._ahead(attempt, place), is_first=is_first, as_unknown=as_unknown
                )
                if decision.verdict is not Verdict.WAIT:
                    return decision
                is_first = False
                if place is None or place.allowance != decision.allowance:
                    self._leave(place)
                    place = None
                    place = self._join(decision.allowance)
                await self._wait(place, decision.wait_seconds, patience_ends, presence)
        finally:
            self._leave(place)

    async def end(
        self, attempt: Attempt, decision: Decision, outcome: Outcome, reason: RefusalReason | None = None
    ) -> None:
        """Report the outcome of an attempt to the store."""
        # While the store is away nothing is given back: the allowance recovers with time.
        with suppress(StateError):
            await self._repository.end_attempt(attempt, decision, outcome, reason)
        if outcome in {Outcome.RIGHT, Outcome.UNCHECKED}:
            for allowance in attempt.allowances:
                if line := self._lines.get(allowance):
                    line[0].call()

    def _ahead(self, attempt: Attempt, place: _Place | None) -> list[str]:
        """Return the allowances for which attempts wait that came before this one."""
        lines = ((one, self._lines.get(one)) for one in attempt.allowances)
        return [one for one, line in lines if line and line[0] is not place]

    def _join(self, allowance: str) -> _Place:
        line = self._lines.setdefault(allowance, deque())
        if len(line) >= LINE_LENGTH:
            raise SlowedDown
        place = _Place(allowance)
        line.append(place)
        return place

    def _leave(self, place: _Place | None) -> None:
        if place is None:
            return
        line = self._lines[place.allowance]
        was_first = line[0] is place
        line.remove(place)
        if not line:
            del self._lines[place.allowance]
        elif was_first:
            line[0].call()

    async def _wait(
        self, place: _Place, wait_seconds: float, patience_ends: float, presence: Presence
    ) -> None:
        """Return when this place has to ask the store."""
        loop = asyncio.get_running_loop()
        asks_at = loop.time() + wait_seconds
        line = self._lines[place.allowance]
        with presence.watched(place.wake.set):
            while not presence.is_gone and loop.time() < patience_ends:
                is_first = line[0] is place
                if is_first and (place.is_called or loop.time() >= asks_at):
                    place.is_called = False
                    return
                place.wake.clear()
                until = min(asks_at, patience_ends) if is_first else patience_ends
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await place.wake.wait()
        raise SlowedDown
