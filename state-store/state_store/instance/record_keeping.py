"""Adds the notes of users to their records, whenever this instance has the turn."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from state_store.errors import StoreUnavailable
from state_store.repository import StateRepository
from state_store.user_records import GROUPS

KEEPING_SECONDS = 5.0
"""How often this checks whether enough notes wait."""


class RecordKeeping:
    """Keeps the records of users for `days`; 0: keeps none, and removes those there are."""

    def __init__(self, repository: StateRepository, instance_id: Callable[[], str], days: int) -> None:
        self._repository = repository
        self._instance_id = instance_id
        self._days = days
        self._group = 0

    async def run(self) -> None:
        """Do so until cancelled."""
        while True:
            await asyncio.sleep(KEEPING_SECONDS)
            with suppress(StoreUnavailable):  # the notes wait
                await self.keep()

    async def keep(self) -> None:
        """Add the notes that wait, and remove what is too old from one group. Raises `StoreUnavailable`."""
        if not self._days:
            await self._repository.forget_all_user_records()
            return
        await self._repository.take_user_notes(self._instance_id())
        await self._repository.forget_user_records(self._group, self._days)
        self._group = (self._group + 1) % GROUPS
