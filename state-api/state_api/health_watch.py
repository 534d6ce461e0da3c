"""Checks health all the time, whether anybody asks or not, and records its changes (D120)."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from operator import gt, lt

import structlog

from state_api.health_report import Check, State
from state_store.errors import StateError
from state_store.health import WELL, NewHealthChange
from state_store.repository import StateRepository

CHECK_SECONDS = 10.0
"""Between two checks: as often as the history has samples."""

GONE = "gone"
"""The state of what was bad and is not checked any more: a process that has ended, a machine that is gone."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_SEVERITY = {State.WARNING.value: 1, State.CRITICAL.value: 2}
"""The severity of bad states; all others have 0."""


class HealthWatch:
    """One process's part in that: of all processes that run it, one has the turn, and checks.

    A state is noted once two checks in a row have found it, so what is bad for a moment is no event. If the
    two differ, the state nearer to the noted one counts.
    """

    def __init__(self, repository: StateRepository, read: Callable[[], Awaitable[list[Check]]]) -> None:
        self._repository = repository
        self._read = read
        self._process_id = secrets.token_hex(8)
        self._last: Mapping[tuple[str, str], Check] | None = None
        """What the check before has found; None if another process made it."""

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            try:
                await self.check()
            except StateError:  # whoever needs the store reports that it is away
                self._last = None
            except Exception:
                log.exception("bug")  # goes on: the cause may pass
            await asyncio.sleep(CHECK_SECONDS)

    async def check(self) -> None:
        """Check if this process has the turn, and record what two checks in a row have found."""
        noted = await self._repository.watch_health(self._process_id)
        if noted is None:
            self._last = None
            return
        found = {(check.name, check.subject): check for check in await self._read()}
        if self._last is not None:
            changes = list(changed(noted, self._last, found))
            if changes:
                await self._repository.note_health(self._process_id, changes)
        self._last = found


def changed(
    noted: Mapping[str, str], last: Mapping[tuple[str, str], Check], found: Mapping[tuple[str, str], Check]
) -> Iterator[NewHealthChange]:
    """Yield the changes that two checks in a row have found, in the order of the report.

    `noted` has the states of what is bad, by "<name> <subject>".
    """
    for name, subject in dict.fromkeys((*found, *last, *map(_check_of, noted))):
        before = noted.get(f"{name} {subject}", WELL)
        # The newer one first: it is taken of two equally bad states.
        seen = [_seen(checks.get((name, subject))) for checks in (found, last)]
        least, most = min(seen, key=_severity), max(seen, key=_severity)
        for one, is_beyond in ((least, gt), (most, lt)):
            if is_beyond(_severity(one), _SEVERITY.get(before, 0)):
                yield NewHealthChange(name, subject, before, *one)


def _seen(check: Check | None) -> tuple[str, str]:
    """Return the state of a check, and its text."""
    return (GONE, "not there any more") if check is None else (check.state.value, check.text)


def _severity(seen: tuple[str, str]) -> int:
    return _SEVERITY.get(seen[0], 0)


def _check_of(noted: str) -> tuple[str, str]:
    name, _, subject = noted.partition(" ")
    return name, subject
