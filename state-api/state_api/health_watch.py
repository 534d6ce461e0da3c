"""Watches whether all is well, whoever looks or not, and has what changes written down (D120)."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from operator import gt, lt

import structlog

from state_api.health_report import Check, State
from state_store.errors import StateError
from state_store.health import WELL, NewHealthChange
from state_store.repository import StateRepository

LOOK_SECONDS = 10.0
"""As often as the history has samples."""

GONE = "gone"
"""What was not well, and is not looked at any more: a process that has ended, a machine that is left."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_SEVERITY = {State.WARNING.value: 1, State.CRITICAL.value: 2}
"""Of the states that are bad; that of all others is 0."""


class HealthWatch:
    """One process's part in that: of all that run it, one has the turn, and looks.

    A state is noted once two looks have found it, so what is bad for a moment is no event. Where they differ,
    that is the one nearer to what is noted.
    """

    def __init__(self, repository: StateRepository, look: Callable[[], Awaitable[list[Check]]]) -> None:
        self._repository = repository
        self._look = look
        self._process_id = secrets.token_hex(8)
        self._last: Mapping[tuple[str, str], Check] | None = None
        """What the look before has found; None where that was not this process's."""

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except StateError:  # whoever needs the store reports that it is away
                self._last = None
            except Exception:
                log.exception("bug")  # it goes on looking: what is wrong may be mended
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look if it is this process's turn, and have written down what two looks have found."""
        noted = await self._repository.watch_health(self._process_id)
        if noted is None:
            self._last = None
            return
        found = {(check.name, check.subject): check for check in await self._look()}
        if self._last is not None:
            changes = list(changed(noted, self._last, found))
            if changes:
                await self._repository.note_health(self._process_id, changes)
        self._last = found


def changed(
    noted: Mapping[str, str], last: Mapping[tuple[str, str], Check], found: Mapping[tuple[str, str], Check]
) -> Iterator[NewHealthChange]:
    """Yield what two looks have found to be other than is noted, in the order of the report.

    `noted` has the states of what is bad, by "<name> <subject>".
    """
    for name, subject in dict.fromkeys((*found, *last, *map(_check_of, noted))):
        before = noted.get(f"{name} {subject}", WELL)
        # The newer one first: of two equally bad states it is the one that is taken.
        seen = [_seen(look.get((name, subject))) for look in (found, last)]
        least, most = min(seen, key=_severity), max(seen, key=_severity)
        for one, is_beyond in ((least, gt), (most, lt)):
            if is_beyond(_severity(one), _SEVERITY.get(before, 0)):
                yield NewHealthChange(name, subject, before, *one)


def _seen(check: Check | None) -> tuple[str, str]:
    """Return the state of a check, and how it is in words."""
    return (GONE, "not there any more") if check is None else (check.state.value, check.text)


def _severity(seen: tuple[str, str]) -> int:
    return _SEVERITY.get(seen[0], 0)


def _check_of(noted: str) -> tuple[str, str]:
    name, _, subject = noted.partition(" ")
    return name, subject
