"""What happens, for all listeners: each process reads the store once and shares that among its streams."""

import asyncio
import contextvars
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic, time

import structlog

from state_api import event_frames
from state_api.errors import DRAINING, TOO_MANY_STREAMS, Refused
from state_api.event_stream import EventStream
from state_api.proof import Proof
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
MOST_NAMES = 60
"""Logged-in users that are named with the counters."""

RECHECK_SECONDS = 0.5
"""How long a stream outlives its administrator, or the password, role, sign-in or token that opened it."""


class EventFeed:
    """Reads counters and activities while there are streams, and puts them into each.

    A new stream joins between two readings: it is sent what its listener missed up to the last reading, then
    what the next ones bring. So no event is sent twice and none is left out.
    """

    def __init__(self, repository: StateRepository, is_draining: Callable[[], bool]) -> None:
        self._repository = repository
        self._is_draining = is_draining
        self._joining: list[EventStream] = []
        self._streams: set[EventStream] = set()
        self._reader: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._reset()

    def open(self, proof: Proof, last_event_id: str | None) -> EventStream:
        """Return a new stream, which goes on after the listener's last event if there is one.

        Raises `Refused` while the process ends, and where it serves as many streams as it may.
        """
        if self._is_draining():
            raise Refused(DRAINING)
        if len(self._streams) >= MAX_STREAMS:
            raise Refused(TOO_MANY_STREAMS)
        stream = EventStream(proof, last_event_id, self._leave)
        if self._reader is None:
            self._reset()
            # It outlives the request that starts it, whose id shall not stand in what it logs.
            self._reader = asyncio.create_task(self._read(), context=contextvars.Context())
        if not self._is_up:
            stream.put(event_frames.store(is_up=False))
        self._streams.add(stream)
        self._joining.append(stream)
        self._wanted.set()
        return stream

    def _reset(self) -> None:
        self._position = ""
        """The id of the last activity that was read."""
        self._counters = b""
        self._counters_due = self._recheck_due = 0.0
        self._is_up = True

    def _leave(self, stream: EventStream) -> None:
        stream.end()
        self._streams.discard(stream)
        if stream in self._joining:
            self._joining.remove(stream)
        if not self._streams:
            self._wanted.set()

    async def _read(self) -> None:
        try:
            while self._streams and not self._is_draining():
                await self._turn()
                await self._pause()
        except Exception as error:
            # The listeners come back, and find a new reader.
            log.error("reader of events failed", exception="".join(traceback.format_exception(error)))
        finally:
            self._reader = None
            for stream in self._streams:
                stream.end()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), POLL_SECONDS)
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
                _put(self._streams, event_frames.store(is_up=False))

    async def _read_activities(self) -> None:
        if not self._position:
            self._position = await self._repository.last_activity_id()
        is_full = True
        while is_full:
            activities, is_gap = await self._repository.activity_after(self._position, MAX_ACTIVITIES)
            if not self._is_up:
                self._is_up = True
                _put(self._streams, event_frames.store(is_up=True))
            is_full = len(activities) == MAX_ACTIVITIES
            frames = event_frames.activities(activities, is_gap=is_gap)
            if activities:
                self._position = activities[-1].activity_id
            elif is_gap:
                self._position = await self._repository.last_activity_id()
                frames += event_frames.position(self._position)
            if frames:
                _put(self._streams.difference(self._joining), frames)

    async def _read_counters(self) -> None:
        now = monotonic()
        if now < self._counters_due:
            return
        self._counters = event_frames.counters(await self._repository.overview(MOST_NAMES), time())
        # From when they were due, not from now: else each would be late by a part of the reader's pause.
        is_on_time = now - self._counters_due < COUNTERS_SECONDS
        self._counters_due = (self._counters_due if is_on_time else now) + COUNTERS_SECONDS
        _put(self._streams.difference(self._joining), self._counters)

    async def _welcome(self) -> None:
        # After a restart all listeners come back at once, and have missed the same.
        missed: dict[str | None, bytes] = {None: b""}
        for stream in list(self._joining):
            last = stream.last_event_id
            if last is not None and last not in missed:
                missed[last] = await self._missed_after(last)
            if stream in self._joining:  # it may have left meanwhile
                self._joining.remove(stream)
                position = event_frames.position(self._position)
                stream.put(event_frames.RETRY + missed[last] + position + self._counters)

    async def _missed_after(self, activity_id: str) -> bytes:
        """Return what happened after `activity_id` up to the last reading."""
        frames = b""
        while activity_id != self._position:
            activities, is_gap = await self._repository.activity_after(activity_id, MAX_ACTIVITIES)
            ids = [activity.activity_id for activity in activities]
            if self._position in ids:  # the next reading brings what came after it
                read = activities[: ids.index(self._position) + 1]
                return frames + event_frames.activities(read, is_gap=is_gap)
            if len(activities) < MAX_ACTIVITIES:
                return event_frames.GAP  # the store no longer keeps what the last reading ended with
            frames += event_frames.activities(activities, is_gap=is_gap)
            activity_id = ids[-1]
        return frames

    async def _recheck(self) -> None:
        if monotonic() < self._recheck_due:
            return
        self._recheck_due = monotonic() + RECHECK_SECONDS
        streams = list(self._streams)
        # Pages of one sign-in, and scripts with one token, come with the same proof.
        proofs = list({stream.proof for stream in streams})
        holding = await asyncio.gather(*(proof.holds(self._repository) for proof in proofs))
        still_hold = dict(zip(proofs, holding, strict=True))
        for stream in streams:
            if not still_hold[stream.proof]:
                stream.end()


def _put(streams: Iterable[EventStream], chunk: bytes) -> None:
    for stream in streams:
        stream.put(chunk)
