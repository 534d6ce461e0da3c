"""What happens, for all who listen: one reader of the store for each process, shared by its streams."""

import asyncio
import contextvars
import traceback
from collections.abc import Callable, Iterable
from time import monotonic

import structlog

from state_api import event_frames
from state_api.errors import Draining, TooManyStreams
from state_api.event_subscription import Subscription
from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

MAX_STREAMS = 100
"""Streams that one process serves: each is a connection that stays, for a dashboard or a shell."""

MAX_ACTIVITIES = 1000
"""Activities that are read at once; the store keeps about as many."""

POLL_SECONDS = 0.25
"""How late an activity may be shown, and how soon a stream ends with its process."""

COUNTERS_SECONDS = 1.0
RECHECK_SECONDS = 2.0
"""How long a stream outlives its administrator, or the password or sign-in that opened it."""


class EventFeed:
    """Reads counters and activities while somebody listens, and gives them to every subscription.

    Where a stream begins or goes on is settled between two readings: it is replayed what its listener
    missed up to the last reading, and then gets what the next ones bring. So nothing is sent twice and
    nothing is left out.
    """

    def __init__(self, repository: StateRepository, is_draining: Callable[[], bool]) -> None:
        self._repository = repository
        self._is_draining = is_draining
        self._joining: list[Subscription] = []
        self._subscriptions: set[Subscription] = set()
        self._reader: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._begin()

    def _begin(self) -> None:
        self._position = ""
        self._counters = b""
        self._counters_due = self._recheck_due = 0.0
        self._is_up = True

    def subscribe(self, subscription: Subscription) -> Subscription:
        """Begin a subscription, after its last event if it has had one, and return it.

        Raises `Draining` and `TooManyStreams`.
        """
        if self._is_draining():
            raise Draining
        if len(self._subscriptions) >= MAX_STREAMS:
            raise TooManyStreams
        if self._reader is None:
            self._begin()
            # It outlives the request that starts it, whose id shall not stand in what it logs.
            self._reader = asyncio.create_task(self._read(), context=contextvars.Context())
        if not self._is_up:
            subscription.put(event_frames.store(is_up=False))
        self._subscriptions.add(subscription)
        self._joining.append(subscription)
        self._wanted.set()
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """End a subscription; the reader ends with the last one."""
        subscription.end()
        self._subscriptions.discard(subscription)
        if subscription in self._joining:
            self._joining.remove(subscription)
        if not self._subscriptions:
            self._wanted.set()

    async def _read(self) -> None:
        try:
            while self._subscriptions and not self._is_draining():
                await self._turn()
                await self._pause()
        except Exception as error:
            # Whoever listens comes back, and finds a new reader.
            log.error("reader of events failed", exception="".join(traceback.format_exception(error)))
        finally:
            self._reader = None
            for subscription in self._subscriptions:
                subscription.end()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._wanted.wait(), POLL_SECONDS)
        except TimeoutError:
            return
        self._wanted.clear()

    async def _turn(self) -> None:
        try:
            await self._read_activities()
            await self._read_counters()
            await self._welcome()
            await self._recheck()
        except (StoreUnavailable, StoreUnusable):
            if self._is_up:
                self._is_up = False
                self._tell(self._subscriptions, event_frames.store(is_up=False))

    async def _read_activities(self) -> None:
        if not self._position:
            self._position = await self._repository.last_activity_id()
        is_full = True
        while is_full:
            activities, is_gap = await self._repository.activity_after(self._position, MAX_ACTIVITIES)
            self._note_answer()
            is_full = len(activities) == MAX_ACTIVITIES
            frames = event_frames.activities(activities, is_gap=is_gap)
            if activities:
                self._position = activities[-1].activity_id
            elif is_gap:
                self._position = await self._repository.last_activity_id()
                frames += event_frames.position(self._position)
            if frames:
                self._tell(self._subscriptions.difference(self._joining), frames)

    async def _read_counters(self) -> None:
        now = monotonic()
        if now < self._counters_due:
            return
        self._counters = event_frames.counters(await self._repository.counters())
        # From when they were due, not from now: else each would be late by a part of the reader's pause.
        is_on_time = now - self._counters_due < COUNTERS_SECONDS
        self._counters_due = (self._counters_due if is_on_time else now) + COUNTERS_SECONDS
        self._tell(self._subscriptions.difference(self._joining), self._counters)

    async def _welcome(self) -> None:
        # After a restart all listeners come back at once, and have missed the same.
        missed: dict[str | None, bytes] = {None: b""}
        for subscription in list(self._joining):
            last = subscription.last_event_id
            if last is not None and last not in missed:
                missed[last] = await self._missed_after(last)
            if subscription in self._joining:  # it may have left meanwhile
                self._joining.remove(subscription)
                subscription.put(
                    event_frames.RETRY + missed[last] + event_frames.position(self._position) + self._counters
                )

    async def _missed_after(self, activity_id: str) -> bytes:
        """Return what happened after `activity_id` up to the last reading."""
        frames = b""
        while activity_id != self._position:
            activities, is_gap = await self._repository.activity_after(activity_id, MAX_ACTIVITIES)
            ids = [activity.activity_id for activity in activities]
            if self._position in ids:  # what came meanwhile is the next reading's
                read = activities[: ids.index(self._position) + 1]
                return frames + event_frames.activities(read, is_gap=is_gap)
            if len(activities) < MAX_ACTIVITIES:
                return event_frames.GAP  # where the last reading ended is itself no longer kept
            frames += event_frames.activities(activities, is_gap=is_gap)
            activity_id = ids[-1]
        return frames

    async def _recheck(self) -> None:
        if monotonic() < self._recheck_due:
            return
        hashes = await self._repository.administrators()
        self._recheck_due = monotonic() + RECHECK_SECONDS
        for subscription in list(self._subscriptions):
            sign_in_id = subscription.sign_in_id
            is_over = sign_in_id is not None and await self._repository.is_ended_sign_in(sign_in_id)
            if is_over or hashes.get(subscription.administrator) != subscription.password_hash:
                subscription.end()

    def _note_answer(self) -> None:
        if not self._is_up:
            self._is_up = True
            self._tell(self._subscriptions, event_frames.store(is_up=True))

    def _tell(self, subscriptions: Iterable[Subscription], chunk: bytes) -> None:
        for subscription in subscriptions:
            subscription.put(chunk)
