"""Group commit: what all connections of a process report and request travels in one exchange at a time."""

import asyncio
import random
import time
from collections.abc import Callable

import structlog

from state_store.errors import LeaseLapsed, StoreUnavailable
from state_store.instance.admission import Admission
from state_store.instance.changes import Changes
from state_store.instance.lease import Lease
from state_store.instance.options import InstanceOptions
from state_store.instance.outbox import CHANGED_ROW_SECONDS, Outbox
from state_store.instance.pacing import Pacing
from state_store.records import RENEWAL_SECONDS, Exchange
from state_store.repository import StateRepository

COUNTS_SECONDS = 0.04
"""Counts and session rows wait at most so long: operators see them within 100 ms (P15)."""

RELEASE_SECONDS = 0.005
"""A lock that is given back waits at most so long: its user may log in again through another instance."""

SPARE_SLOTS_POLL_SECONDS = 0.005
"""The time between exchanges while connections wait for slots that other instances are asked to give back."""

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0
"""The pauses between attempts to reach a store that is away double from the first to the longest."""

FAREWELL_SECONDS = 3.0
"""How long a process that stops goes on trying to report what it has counted, while the store is away:
less than the four seconds after which its supervisor kills it."""

LOAD_SECONDS = 1.0
"""The reported load is an average over at least so long."""

log = structlog.get_logger()


class Exchanges:
    """Renews the lease and empties the outbox, one exchange at a time.

    A lost answer leaves everything in the outbox for the next exchange. A lapsed lease is followed by one
    under another id, and `lease_lapsed` is called: all sessions have to close.
    """

    def __init__(
        self,
        repository: StateRepository,
        lease: Lease,
        admission: Admission,
        outbox: Outbox,
        changes: Changes,
        pacing: Pacing,
        options: InstanceOptions,
        lease_lapsed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.is_away = False
        """Whether the last attempt to reach the store failed."""
        self._repository = repository
        self._lease = lease
        self._admission = admission
        self._outbox = outbox
        self._changes = changes
        self._pacing = pacing
        self._options = options
        self._lease_lapsed = lease_lapsed
        self._clock = clock
        self._load = ProcessorLoad(clock)
        self._pause_seconds = 0.0

    async def run(self) -> None:
        """Exchange for ever, at least as often as the lease has to be renewed."""
        next_renewal = self._clock() + RENEWAL_SECONDS
        while True:
            await self._until_due(next_renewal)
            is_renewal = self._clock() >= next_renewal
            try:
                began = self._clock()
                await self._exchange(is_renewal=is_renewal)
                if is_renewal:
                    await self._lease.note_vitals(self._clock() - began)
                    next_renewal = self._clock() + RENEWAL_SECONDS * random.uniform(0.9, 1.0)  # noqa: S311
                self._pause_seconds = 0.0
            except StoreUnavailable as error:
                await self._back_off(error)
            except LeaseLapsed as lapsed:
                await self._start_over(lapsed)

    async def finish(self, patience_seconds: float) -> None:
        """Report what is left, and give up the lease.

        A store that is away is retried for `FAREWELL_SECONDS`, or for `patience_seconds` if that is longer.
        """
        self._outbox.take_latencies()
        self._pause_seconds = 0.0
        try:
            async with asyncio.timeout(max(FAREWELL_SECONDS, patience_seconds)):
                await self._report_the_rest()
        except TimeoutError:
            log.warning("stopped without the state store", counts_lost=self._outbox.has_lasting_work)

    def note_away(self, error: StoreUnavailable) -> None:
        """Take note that the store cannot be reached: clients are refused until it can."""
        if not self.is_away:
            self.is_away = True
            log.warning("state store is away", reason=str(error))

    async def _until_due(self, next_renewal: float) -> None:
        if self._admission.waits_for_others:
            await asyncio.sleep(SPARE_SLOTS_POLL_SECONDS)
        elif not self._admission.must_ask:
            await self._pacing.until_woken(next_renewal)
        await self._pacing.gather()

    async def _exchange(self, *, is_renewal: bool = False) -> None:
        now = self._clock()
        self._pacing.exchange_begins()
        exchange = self._next_exchange(now)
        try:
            result = await self._repository.exchange(exchange, reap=is_renewal)
        except LeaseLapsed:
            self._outbox.keep(exchange, self._clock())
            raise
        except Exception:
            self._outbox.keep(exchange, self._clock())
            self._admission.failed()
            raise
        self._lease.renewed(now)
        if self.is_away:
            self.is_away = False
            log.info("state store is back")
        self._outbox.confirm(result.logins)
        self._admission.answered(result, asyncio.get_running_loop().time())
        if self._changes.are_due(result.settings_version):
            await self._changes.refresh()
        self._wake_for_the_rest()

    def _next_exchange(self, now: float) -> Exchange:
        exchange = Exchange(
            self._lease.instance_id,
            0,
            open_connections=self._admission.open_connections,
            claimed_connections=self._admission.ask(),
            waiting_connections=self._admission.waiting_connections,
            settings_version=self._changes.settings.obeyed_version,
            load=self._load.measured(now),
            login_delay_seconds=self._options.login_delay_seconds,
            address_limit=self._options.max_connections_per_address,
            addresses=self._admission.address_counts(),
        )
        self._outbox.fill(exchange, now)
        return exchange

    def _wake_for_the_rest(self) -> None:
        if self._admission.must_report:
            self._pacing.wake_within(RELEASE_SECONDS)
        if self._outbox.has_work:
            self._pacing.wake_within(COUNTS_SECONDS)
        if self._outbox.has_changed_sessions:
            self._pacing.wake_within(CHANGED_ROW_SECONDS)

    async def _back_off(self, error: StoreUnavailable) -> None:
        self.note_away(error)
        self._pause_seconds = min(max(self._pause_seconds * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(self._pause_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        self._pacing.wake()

    async def _start_over(self, lapsed: LeaseLapsed) -> None:
        self._lease.lapsed()
        self._outbox.start_over(counts_taken=lapsed.counts_taken)
        self._admission.lapsed()
        self._lease_lapsed()
        self._pacing.wake()
        try:
            await self._lease.register()
            self._pause_seconds = 0.0
        except StoreUnavailable as error:
            await self._back_off(error)  # the next exchange finds no lease, and leads here again

    async def _report_the_rest(self) -> None:
        while True:
            try:
                # The exchange that was cut short may have to be sent again before what came after it, and
                # each may find the lease lapsed.
                while self._outbox.has_lasting_work:
                    await self._last_exchange()
                await self._lease.end()
                return
            except StoreUnavailable as error:
                await self._back_off(error)

    async def _last_exchange(self) -> None:
        try:
            await self._exchange()
        except LeaseLapsed as lapsed:
            # No session is left that held anything: only the counts are still to be reported, under a new id.
            self._outbox.start_over(counts_taken=lapsed.counts_taken)
            await self._lease.register()


class ProcessorLoad:
    """Measures how many seconds of processor time this process takes in a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._load = 0.0
        self._measured_at, self._used = clock(), time.process_time()

    def measured(self, now: float) -> float:
        """Return the load, averaged over at least `LOAD_SECONDS`."""
        if now - self._measured_at >= LOAD_SECONDS:
            used = time.process_time()
            self._load = (used - self._used) / (now - self._measured_at)
            self._measured_at, self._used = now, used
        return self._load
