"""Sign-ins of administrators in the audit, without a question to Redis with each request of HTTP Basic."""

import time
from collections.abc import Callable

from state_store.audit import Actor
from state_store.repository.administrators import AdministratorRepository

MOST_REMEMBERED = 1000
"""Administrators are few, and so are the addresses that they sign in from."""


class NotedSignIns:
    """Has each sign-in in the audit; those that are no new entry for now cost nothing."""

    def __init__(
        self, repository: AdministratorRepository, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._until: dict[Actor, float] = {}
        """When the next sign-in of each is another entry, the latest noted last."""

    async def note(self, by: Actor) -> None:
        """Return once the sign-in is in the audit. Raises `StoreUnavailable`: it does not count then."""
        if self._until.get(by, 0.0) > self._clock():
            return
        asked_at = self._clock()
        seconds = await self._repository.note_sign_in(by=by)
        self._until.pop(by, None)
        self._until[by] = asked_at + seconds
        if len(self._until) > MOST_REMEMBERED:
            del self._until[next(iter(self._until))]
