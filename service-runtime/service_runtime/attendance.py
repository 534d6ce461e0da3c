"""A front end in the store: it sees that the store stays its deployment's, and brings its settings."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress

from state_store.errors import StateError, StoreEmptied
from state_store.repository import StateRepository

ATTENDANCE_SECONDS = 1.0
"""How soon a front end notices that the store was emptied, restored or accepted."""

AGAIN_EVERY = 20
"""Every so many times it names its administrators again: three times before they count as nobody's."""


class Attendance:
    """Takes a front end's first steps in the store, and again in one that is not what it was."""

    def __init__(
        self,
        repository: StateRepository,
        first_steps: Callable[[], Awaitable[None]],
        again: Callable[[], Awaitable[None]],
    ) -> None:
        self._repository = repository
        self._again = again
        self._first_steps = first_steps
        self._has_begun = False

    async def begin(self) -> None:
        """Take the first steps; in a store that was emptied they wait until it is restored or accepted.

        Raises `StoreUnavailable`.
        """
        try:
            await self._repository.attend()
            if not self._has_begun:
                await self._first_steps()
                self._has_begun = True
        except StoreEmptied:
            self._has_begun = False

    async def keep_up(self) -> None:
        """Look again and again, for ever."""
        for number in itertools.count(1):
            await asyncio.sleep(ATTENDANCE_SECONDS)
            with suppress(StateError):  # that the store is away is told by whoever needs it
                await self.begin()
                if self._has_begun and number % AGAIN_EVERY == 0:
                    await self._again()
