"""Keeps all users in memory, some seconds old, for pages that are sorted or filtered by their records."""

import asyncio
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from state_store.repository import StateRepository
from state_store.repository.user_records import ListedUser
from state_store.user_records import DAY_SECONDS, RecordText

USERS_AT_ONCE = 500
"""Users that are read at once, which blocks Redis for less than a millisecond, the event loop for ten."""

FRESH_SECONDS = 3.0
RESTS = 5
"""While lists are requested they are read anew after three seconds and five times the last reading's time."""

STALE_SECONDS = 20.0
"""An older list, which nobody has requested meanwhile, is not shown."""

SELECTIONS = 32
"""How many selections of one list are remembered, for their next pages."""


class UserSort(StrEnum):
    """What users are sorted by."""

    NAME = "name"
    LAST_LOGIN = "last_login"
    LAST_REFUSAL = "last_refusal"
    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    MAILDROP = "maildrop"


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Which users, and in which order; None is no filter."""

    sort: UserSort = UserSort.NAME
    is_descending: bool = False
    prefix: str = ""
    """How the name begins."""
    search: str = ""
    """A part of the name, in small letters."""
    not_since_days: int | None = None
    """Only users without a recorded login in so many days."""
    refused_days: int | None = None
    """Only users with a refused login within so many days."""
    is_suspended: bool | None = None
    scheme: str | None = None


class _Snapshot:
    """The users as they were read at one time, in columns, so that a page is selected within milliseconds."""

    def __init__(self, read_at: float) -> None:
        self.users: list[ListedUser] = []
        self.read_at = read_at
        self._columns = {sort: array("q") for sort in UserSort if sort is not UserSort.NAME}
        self._small_names: list[str] = []
        self.orders: dict[tuple[UserSort, bool], Sequence[int]] = {}
        self._selections: dict[UserQuery, list[int]] = {}

    def add(self, user: ListedUser) -> None:
        """Add the next user by name."""
        record, column = RecordText(user.record), self._columns
        today, week, month = record.traffic(user.at // DAY_SECONDS)
        self.users.append(user)
        self._small_names.append(user.username.lower())
        column[UserSort.LAST_LOGIN].append(record.last_login_at)
        column[UserSort.LAST_REFUSAL].append(record.last_refusal_at)
        column[UserSort.TODAY].append(today.octets)
        column[UserSort.WEEK].append(week.octets)
        column[UserSort.MONTH].append(month.octets)
        column[UserSort.MAILDROP].append(record.maildrop_octets)

    def select(self, query: UserQuery) -> list[int]:
        """Return the numbers of the users that match `query`, in its order."""
        found = self._selections.get(query)
        if found is None:
            found = list(self._filtered(self._order(query.sort, is_descending=query.is_descending), query))
            if len(self._selections) >= SELECTIONS:
                self._selections.clear()
            self._selections[query] = found
        return found

    def prepare(self, orders: Iterable[tuple[UserSort, bool]]) -> None:
        """Sort in these orders."""
        for sort, is_descending in orders:
            self._order(sort, is_descending=is_descending)

    def _order(self, sort: UserSort, *, is_descending: bool) -> Sequence[int]:
        by_name = range(len(self.users))
        if sort is UserSort.NAME:
            return by_name[::-1] if is_descending else by_name
        order = self.orders.get((sort, is_descending))
        if order is None:
            order = sorted(by_name, key=self._columns[sort].__getitem__, reverse=is_descending)
            self.orders[sort, is_descending] = order
        return order

    def _filtered(self, numbers: Sequence[int], query: UserQuery) -> Sequence[int]:
        # One plain loop for each filter: a function call for each user would take five times as long.
        users, now = self.users, self.users[0].at if self.users else 0
        if query.prefix:
            numbers = [one for one in numbers if users[one].username.startswith(query.prefix)]
        if query.search:
            names, part = self._small_names, query.search
            numbers = [one for one in numbers if part in names[one]]
        if query.not_since_days is not None:
            column, moment = self._columns[UserSort.LAST_LOGIN], now - query.not_since_days * DAY_SECONDS
            numbers = [one for one in numbers if column[one] < moment]
        if query.refused_days is not None:
            column, moment = self._columns[UserSort.LAST_REFUSAL], now - query.refused_days * DAY_SECONDS
            numbers = [one for one in numbers if column[one] >= moment]
        if query.is_suspended is not None:
            numbers = [one for one in numbers if users[one].is_suspended is query.is_suspended]
        if query.scheme is not None:
            numbers = [one for one in numbers if users[one].scheme == query.scheme]
        return numbers


@dataclass(frozen=True, slots=True)
class UserSelection:
    """A page of selected users, and how many are selected."""

    users: list[ListedUser]
    total: int


class UserLists:
    """Reads all users while lists are requested, and selects from the last reading."""

    def __init__(self, repository: StateRepository, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._snapshot: _Snapshot | None = None
        self._reading: asyncio.Task[_Snapshot] | None = None
        self._next_at = 0.0

    async def page(self, query: UserQuery, offset: int, limit: int) -> UserSelection:
        """Return a page of the users that match `query`. Raises `StoreUnavailable`."""
        snapshot = await self._current()
        found = snapshot.select(query)
        page = [snapshot.users[number] for number in found[offset : offset + limit]]
        return UserSelection(page, len(found))

    async def _current(self) -> _Snapshot:
        now, snapshot = self._clock(), self._snapshot
        if snapshot is not None and now - snapshot.read_at <= STALE_SECONDS:
            if now >= self._next_at:
                self._begin_reading()
            return snapshot
        return await asyncio.shield(self._begin_reading())

    def _begin_reading(self) -> "asyncio.Task[_Snapshot]":
        """Return the reading that is under way, a new one if there is none."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._read_ended)
        return self._reading

    async def _read(self) -> _Snapshot:
        began = self._clock()
        read, records = _Snapshot(began), await self._repository.every_user_record()
        after = ""
        while True:
            page = await self._repository.listed_users(after, USERS_AT_ONCE, records=records)
            for user in page:
                read.add(user)
            if len(page) < USERS_AT_ONCE:
                break
            after = page[-1].username
        await asyncio.to_thread(read.prepare, list(self._snapshot.orders) if self._snapshot else ())
        self._next_at = self._clock() + FRESH_SECONDS + RESTS * (self._clock() - began)
        self._snapshot = read
        return read

    def _read_ended(self, task: "asyncio.Task[_Snapshot]") -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()  # whoever waits for it gets it
