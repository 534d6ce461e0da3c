"""One POP3 process as the store knows it: its lease, and the group commit of all its connections."""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Awaitable, Callable

import structlog

from state_store.credentials.attempts import RefusalReason
from state_store.errors import LeaseLapsed, StoreEmptied, StoreUnavailable
from state_store.instance.admission import Admission
from state_store.instance.outbox import CHANGED_ROW_SECONDS, Outbox
from state_store.latency import refused_field
from state_store.records import (
    AdmissionOutcome,
    Deltas,
    Exchange,
    Instance,
    Login,
    LoginOutcome,
    Notification,
    NotificationKind,
    SessionRow,
    Settings,
)
from state_store.repository import LEASE_SECONDS, RENEWAL_SECONDS, StateRepository

MARGIN_SECONDS = 3.0
"""The lease counts as held only until so long before its end: a removal must fit into what is left."""

COUNTS_SECONDS = 0.04
"""Counts and session rows wait at most so long: they are seen within 100 ms (P15)."""

RELEASE_SECONDS = 0.005
"""A lock that was given back waits at most so long: its user may come back through another instance."""

STEP_SECONDS = 0.001
SPACING_SECONDS = 0.008
"""An exchange follows the last one at the earliest after `STEP_SECONDS`, and as long as each step brings
more that it can take along it waits, up to `SPACING_SECONDS` after the last one. So a lone client waits for
nobody, and under load some ten sessions share an exchange: half of its cost is there however little it
carries."""

LONGEST_PAUSE_SECONDS = 1.0

FAREWELL_SECONDS = 3.0
"""How long a process that ends goes on trying to tell what it has counted, while the store is away:
less than the four seconds after which its supervisor kills it."""

LOAD_SECONDS = 1.0
"""The load that is told is that of so long a time at least."""

LISTENING_SECONDS = 1.0
"""How long a start waits for the channel of changes: an `m=` right after it is to be heard."""

log = structlog.get_logger()


class LiveInstance:
    """Admission, locks, counts and settings for the connections of one POP3 process.

    All that they tell and ask between two exchanges travels in the next one; there is one at a time.
    `can_use_directory` judges a proposed mail directory, `settings_changed` and `lease_lapsed` are
    called when that happens, `close_session` when an administrator wants a session closed that may or
    may not be one of this process. A user can log in again `login_delay_seconds` after a login, and a client
    address has at most `max_connections_per_address` connections, both over all instances; 0 is no limit.
    `certificate_expires_at` tells when the process's certificate does, in seconds since the epoch.
    """

    def __init__(
        self,
        repository: StateRepository,
        *,
        host: str,
        process_id: int,
        version: str,
        can_use_directory: Callable[[str], Awaitable[bool]],
        settings_changed: Callable[[], None],
        lease_lapsed: Callable[[], None],
        close_session: Callable[[str], None] = lambda _: None,
        worker: int = 1,
        layout: str = "",
        mail_directory: str = "",
        login_delay_seconds: int = 0,
        max_connections_per_address: int = 0,
        certificate_expires_at: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = Settings()
        self.instance_id = ""
        self._repository = repository
        self._host, self._process_id, self._version, self._worker = host, process_id, version, worker
        self._layout, self._mail_directory = layout, mail_directory
        self._can_use_directory = can_use_directory
        self._settings_changed, self._lease_lapsed = settings_changed, lease_lapsed
        self._close_session = close_session
        self.login_delay_seconds = login_delay_seconds
        self.max_connections_per_address = max_connections_per_address
        self._certificate_expires_at = certificate_expires_at
        self._certificate_told = "", 0.0
        self._clock = clock
        self._admission = Admission(max_connections_per_address)
        self._outbox = Outbox()
        self.command_latency = self._outbox.command_latency
        """Where connections record how long each command took."""
        self.login_latency = self._outbox.login_latency
        """Where they record how long each login took, refused ones included."""
        self._lease_ends = 0.0
        self._last_exchange = -SPACING_SECONDS
        self._load = 0.0
        self._load_measured = clock(), time.process_time()
        self._is_away = False
        self._session_count = 0
        self._wake = asyncio.Event()
        self._is_listening = asyncio.Event()
        self._timers: dict[float, asyncio.TimerHandle] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._proposals: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Register, listen to changes, and begin to renew the lease.

        Raises `StoreUnavailable`, `LayoutDiffers` where this process may never serve beside those that live.
        """
        try:
            await self._register()
            await self._tell_certificate()
            self._take_settings(await self._repository.settings())
        except StoreEmptied as error:
            self._is_away = True  # clients are refused, until an operator has said what is to hold
            log.warning("state store is away", reason=str(error))
        self._tasks = [asyncio.create_task(self._exchange_for_ever()), asyncio.create_task(self._listen())]
        with contextlib.suppress(TimeoutError):  # it goes on trying, and serves meanwhile
            await asyncio.wait_for(self._is_listening.wait(), LISTENING_SECONDS)

    async def stop(self, patience_seconds: float = 0.0) -> None:
        """Tell the store what is left to tell, and give up the lease.

        A store that is away is waited for: `FAREWELL_SECONDS`, or longer where there is more patience.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(max(FAREWELL_SECONDS, patience_seconds)):
                await self._tell_everything()
        except TimeoutError:
            log.warning("state store not told of the end", counts_lost=self._outbox.has_lasting_work)

    async def _tell_everything(self) -> None:
        pause = 0.0
        self._outbox.take_latencies()
        while True:
            try:
                # The exchange that was cut short may have to be sent again before what came after it, and
                # each may find the lease lapsed.
                while self._outbox.has_lasting_work:
                    await self._exchange_at_last()
                await self._repository.end_instance(self.instance_id)
                return
            except StoreUnavailable as error:
                pause = await self._pause(pause, error)

    # For connections

    def count_refusal(self, reason: RefusalReason) -> None:
        """Count a password that was not taken."""
        self._outbox.deltas.add(Deltas(latencies={refused_field(reason): 1}))
        self._wake_within(COUNTS_SECONDS)

    @property
    def deltas(self) -> Deltas:
        """The counts to add to; call `counted` after it."""
        return self._outbox.deltas

    @property
    def max_connections(self) -> int:
        """The limit that the newest answer went by."""
        return self._admission.max_connections

    @property
    def is_away(self) -> bool:
        """Whether the store did not answer lately."""
        return self._is_away

    @property
    def holds_lease(self) -> bool:
        """Whether the lease surely holds for `MARGIN_SECONDS` more, by this process's own clock."""
        return self._clock() < self._lease_ends - MARGIN_SECONDS

    def still_holds(self, lease: str) -> bool:
        """Whether what was locked under the instance id `lease` is surely ours for `MARGIN_SECONDS` more.

        After a lapse the instance goes on under another id, and holds nothing of what it held before.
        Other threads may ask.
        """
        # In this order: a new id comes before its lease, so the lease that was looked at is the old id's.
        return self.holds_lease and lease == self.instance_id

    def new_session_id(self) -> str:
        """Return an id that no other session of any instance has."""
        self._session_count += 1
        return f"{self.instance_id}-{self._session_count:x}"

    def admit_at_once(self) -> bool:
        """Take a slot for a connection if one is held; otherwise ask with `admit`.

        Where the connections of an address are limited it never takes one.
        """
        return not self._is_away and self._admission.admit_at_once()

    def admit(self, address: str) -> "asyncio.Future[AdmissionOutcome]":
        """Return a future: ADMITTED once a slot is taken, which limit is reached, or `StoreUnavailable`.

        Who asked has to `discharge` a slot that comes after its connection has gone.
        """
        answer = self._admission.wait_for_slot(address)
        if answer.done():
            return answer
        if self._is_away:
            self._admission.failed()
        self._wake.set()
        return answer

    def discharge(self, address: str) -> None:
        """Give up the slot of a connection, under the address that it was admitted with."""
        self._admission.discharge(address)
        self._wake_within(RELEASE_SECONDS)

    def session_opened(self, session_id: str, row: Callable[[], SessionRow]) -> None:
        """Show a session to operators; again when it has logged in.

        Most sessions end before anybody could look at them: `row` is called for the others only, and what
        it adds to `deltas` travels with it.
        """
        self._outbox.open_session(session_id, row, self._clock())
        self._wake_within(COUNTS_SECONDS)

    def session_changed(self, session_id: str) -> None:
        """Take note that a session is not any more as `row` described it last: it is called again soon."""
        self._outbox.change_session(session_id, self._clock())
        self._wake_within(CHANGED_ROW_SECONDS)

    def session_closed(self, session_id: str) -> None:
        """Show a session no more."""
        self._outbox.close_session(session_id)
        self._wake_within(COUNTS_SECONDS)

    def counted(self) -> None:
        """Take note that `deltas` has grown."""
        self._wake_within(COUNTS_SECONDS)

    def lock_maildrop(self, login: Login) -> "asyncio.Future[LoginOutcome]":
        """Return a future for a maildrop's lock: what came of it, or `StoreUnavailable`.

        Not to be cancelled: who asked has to release a lock that comes after its connection has gone.
        """
        if self._is_away:
            refused: asyncio.Future[LoginOutcome] = asyncio.get_running_loop().create_future()
            refused.set_exception(StoreUnavailable("away"))
            return refused
        answer = self._outbox.log_in(login)
        self._wake.set()
        return answer

    def release_maildrop(self, username: str, session_id: str) -> None:
        """Give a maildrop's lock back."""
        self._outbox.release(username, session_id)
        self._wake_within(RELEASE_SECONDS)

    def withdraw_login(self, username: str, session_id: str) -> None:
        """Give back the lock of a login that failed after it: no login delay comes from it."""
        self._outbox.withdraw(username, session_id)
        self._wake_within(RELEASE_SECONDS)

    # Exchanges

    def _wake_within(self, seconds: float) -> None:
        # Called several times a session: one timer for each of the few delays, set once an exchange.
        if seconds not in self._timers:
            self._timers[seconds] = asyncio.get_running_loop().call_later(seconds, self._wake.set)

    def _stop_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _exchange_for_ever(self) -> None:
        pause = 0.0
        next_renewal = self._clock() + RENEWAL_SECONDS
        while True:
            await self._wait(next_renewal)
            is_renewal = self._clock() >= next_renewal
            try:
                await self._exchange_once(reap=is_renewal)
                if is_renewal:
                    await self._tell_certificate()
                pause = 0.0
            except StoreUnavailable as error:
                pause = await self._pause(pause, error)
            except LeaseLapsed as lapsed:
                pause = await self._start_over(lapsed, pause)
            else:
                if is_renewal:
                    next_renewal = self._clock() + RENEWAL_SECONDS * random.uniform(0.9, 1.0)  # noqa: S311

    async def _tell_certificate(self) -> None:
        now = self.instance_id, self._certificate_expires_at()
        if now[1] and now != self._certificate_told:
            await self._repository.note_certificate(*now)
            self._certificate_told = now

    async def _wait(self, next_renewal: float) -> None:
        """Wait until something is to be told, at the latest until the lease is to be renewed."""
        if self._admission.waits_for_others:
            await asyncio.sleep(0.005)
        elif not self._admission.must_ask:
            timer = asyncio.get_running_loop().call_later(
                max(next_renewal - self._clock(), 0.0), self._wake.set
            )
            try:
                await self._wake.wait()
            finally:
                timer.cancel()
        await self._gather()
        self._last_exchange = self._clock()
        self._wake.clear()

    async def _gather(self) -> None:
        """Wait as long as others have something for the exchange, but not for long."""
        noted = -1
        while self._clock() < self._last_exchange + SPACING_SECONDS and self._outbox.noted != noted:
            noted = self._outbox.noted
            await asyncio.sleep(STEP_SECONDS)

    async def _exchange_once(self, *, reap: bool) -> None:
        now = self._clock()
        self._stop_timers()
        exchange = Exchange(
            self.instance_id,
            0,
            open_connections=self._admission.open_connections,
            claimed_connections=self._admission.ask(),
            waiting_connections=self._admission.waiting_connections,
            settings_version=self.settings.version,
            load=self._measured_load(now),
            login_delay_seconds=self.login_delay_seconds,
            address_limit=self.max_connections_per_address,
            addresses=self._admission.told_addresses(),
        )
        self._outbox.fill(exchange, now)
        try:
            result = await self._repository.exchange(exchange, reap=reap)
        except StoreUnavailable:
            self._outbox.keep(exchange, self._clock())
            self._admission.failed()
            raise
        except LeaseLapsed:
            self._outbox.keep(exchange, self._clock())
            raise
        self._lease_ends = now + LEASE_SECONDS
        if self._is_away:
            self._is_away = False
            log.info("state store is back")
        self._outbox.confirm(result.logins)
        self._admission.answered(result, asyncio.get_running_loop().time())
        if result.settings_version != self.settings.version:
            self._take_settings(await self._repository.settings())
        if self._admission.must_tell:
            self._wake_within(RELEASE_SECONDS)
        if self._outbox.has_work:
            self._wake_within(COUNTS_SECONDS)
        if self._outbox.has_changed_sessions:
            self._wake_within(CHANGED_ROW_SECONDS)

    def _measured_load(self, now: float) -> float:
        since, used_before = self._load_measured
        if now - since >= LOAD_SECONDS:
            used = time.process_time()
            self._load = (used - used_before) / (now - since)
            self._load_measured = now, used
        return self._load

    async def _pause(self, pause: float, error: StoreUnavailable) -> float:
        if not self._is_away:
            self._is_away = True
            log.warning("state store is away", reason=str(error))
        pause = min(max(pause * 2, 0.02), LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        self._wake.set()
        return pause

    async def _start_over(self, lapsed: LeaseLapsed, pause: float) -> float:
        if self._lease_ends:
            log.warning("the lease is over: closing all sessions", instance=self.instance_id)
        self._lease_ends = 0.0
        self._outbox.start_over(counts_taken=lapsed.counts_taken)
        self._admission.lapsed()
        self._lease_lapsed()
        self._wake.set()
        try:
            await self._register()
        except StoreUnavailable as error:
            return await self._pause(pause, error)  # the next exchange finds no lease: here again
        return 0.0

    async def _exchange_at_last(self) -> None:
        try:
            await self._exchange_once(reap=False)
        except LeaseLapsed as lapsed:
            # Nobody is left who held anything: only the counts are still to be told, under another id.
            self._outbox.start_over(counts_taken=lapsed.counts_taken)
            await self._register()

    async def _register(self) -> None:
        await self._repository.attend()
        if self._mail_directory:
            # Again after a lapse: an emptied store that was accepted knows of none.
            await self._repository.announce_mail_directory(self._mail_directory, overrides=True)
        self.instance_id = secrets.token_hex(4)
        now = self._clock()
        await self._repository.register_instance(
            Instance(
                self.instance_id,
                self._host,
                self._process_id,
                self._version,
                time.time(),
                self._worker,
                self._layout,
            )
        )
        self._lease_ends = now + LEASE_SECONDS

    # The channel of changes

    async def _listen(self) -> None:
        async for notification in self._repository.notifications():
            if notification.kind is NotificationKind.RECONNECTED:
                self._is_listening.set()
            try:
                await self._obey(notification)
            except StoreUnavailable as error:
                log.debug("state store did not answer", reason=str(error))

    async def _obey(self, notification: Notification) -> None:
        if notification.kind is NotificationKind.DIRECTORY_PROPOSED:
            task = asyncio.create_task(self._judge(notification))
            self._proposals.add(task)
            task.add_done_callback(self._proposals.discard)
        elif notification.kind is NotificationKind.SLOTS_WANTED:
            self._admission.shrink()
            self._wake.set()
        elif notification.kind is NotificationKind.SESSION_TO_CLOSE:
            self._close_session(notification.identifier)
        elif notification.kind is NotificationKind.DISCONNECTED:
            self._wake.set()  # whether the store is away shows at the next exchange
        else:
            self._take_settings(await self._repository.settings())

    async def _judge(self, notification: Notification) -> None:
        usable = await self._can_use_directory(notification.path)
        try:
            await self._repository.answer_proposal(notification.identifier, self.instance_id, usable=usable)
        except StoreUnavailable as error:
            log.warning("verdict on a mail directory lost", reason=str(error))

    def _take_settings(self, settings: Settings) -> None:
        if settings == self.settings:
            return
        if settings.max_connections != self.settings.max_connections:
            self._admission.shrink()
        self.settings = settings
        self._wake.set()
        self._settings_changed()
