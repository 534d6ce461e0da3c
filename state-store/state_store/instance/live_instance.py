"""One POP3 process as its connections see the store: admission, locks, counts, session rows, settings."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import structlog

from state_store.credentials.attempts import RefusalReason
from state_store.errors import StoreEmptied, StoreUnavailable
from state_store.instance.admission import Admission
from state_store.instance.changes import Changes
from state_store.instance.exchanges import COUNTS_SECONDS, RELEASE_SECONDS, Exchanges
from state_store.instance.lease import Lease
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.instance.outbox import CHANGED_ROW_SECONDS, Outbox
from state_store.instance.pacing import Pacing
from state_store.instance.record_keeping import RecordKeeping
from state_store.latency import DAMAGED_UNIQUE_IDS, refused_field
from state_store.records import AdmissionOutcome, Deltas, Login, LoginOutcome, SessionRow, Settings
from state_store.refused_networks import RefusedNetworks
from state_store.repository import StateRepository
from state_store.user_notes import Origin, UserNotes

LISTENING_SECONDS = 1.0
"""How long a start waits for the store's notifications, so that an `m=` right after it is not missed."""

BUG_SECONDS = 1.0
"""How long what has failed by a bug rests."""

log = structlog.get_logger()


class LiveInstance:
    """Admission, locks, counts and settings for the connections of one POP3 process.

    What they report and request between two exchanges with the store travels in the next one.
    """

    def __init__(
        self,
        repository: StateRepository,
        options: InstanceOptions,
        callbacks: InstanceCallbacks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_connections_per_address = options.max_connections_per_address
        self._repository = repository
        self._clock = clock
        self._session_count = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._admission = Admission(options.max_connections_per_address)
        kept_days = options.login_records_days
        self._outbox = Outbox(UserNotes(is_kept=kept_days > 0))
        self.user_notes = self._outbox.user_notes
        """Where connections note logins, refusals and traffic of users; call `counted` after it."""
        self.command_latency = self._outbox.command_latency
        """Where connections record how long each command took."""
        self.login_latency = self._outbox.login_latency
        """Where they record how long each login took, refused ones included."""
        self._pacing = Pacing(lambda: self._outbox.noted, clock)
        self._lease = Lease(repository, options, callbacks.vitals, clock)
        self.networks = RefusedNetworks(callbacks.is_trusted, clock)
        """Which clients are banned or exempt."""
        self._changes = Changes(
            repository, self._lease, self._admission, self.networks, self._pacing.wake, callbacks
        )
        self._record_keeping = RecordKeeping(repository, lambda: self._lease.instance_id, kept_days)
        self._exchanges = Exchanges(
            repository,
            self._lease,
            self._admission,
            self._outbox,
            self._changes,
            self._pacing,
            options,
            callbacks.lease_lapsed,
            clock,
        )

    async def start(self) -> None:
        """Register, listen to notifications, and begin to renew the lease.

        Raises `StoreUnavailable`, and `LayoutDiffers` where this process may not serve beside the live ones.
        """
        try:
            await self._lease.register()
            await self._lease.note_vitals()
            await self._changes.refresh()
        except StoreEmptied as error:
            self._exchanges.note_away(error)  # until an operator restores the store, or accepts it as it is
        self._tasks = [
            asyncio.create_task(_go_on_after_bugs(run))
            for run in (self._exchanges.run, self._changes.listen, self._record_keeping.run)
        ]
        with contextlib.suppress(TimeoutError):  # `listen` goes on trying while the process serves
            await asyncio.wait_for(self._changes.is_listening.wait(), LISTENING_SECONDS)

    async def stop(self, patience_seconds: float = 0.0) -> None:
        """Report what is left to the store, and give up the lease.

        A store that is away is retried for `exchanges.FAREWELL_SECONDS`, or for `patience_seconds` if longer.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._exchanges.finish(patience_seconds)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._changes.settings

    @property
    def instance_id(self) -> str:
        """The id under which the store knows this process; after a lapse of the lease another one."""
        return self._lease.instance_id

    @property
    def max_connections(self) -> int:
        """The limit that the store's last answer went by."""
        return self._admission.max_connections

    def still_holds(self, instance_id: str) -> bool:
        """Return whether what was locked under `instance_id` is still ours: see `Lease.still_holds`."""
        return self._lease.still_holds(instance_id)

    def new_session_id(self) -> str:
        """Return an id that no other session of any instance has."""
        self._session_count += 1
        return f"{self.instance_id}-{self._session_count:x}"

    # Admission

    def admit_at_once(self) -> bool:
        """Take a slot for a connection if one is held; otherwise request one with `admit`.

        Where the connections of an address are limited it never takes one.
        """
        return not self._exchanges.is_away and self._admission.admit_at_once()

    def admit(self, address: str) -> "asyncio.Future[AdmissionOutcome]":
        """Return a future: ADMITTED once a slot is taken, the limit that is reached, or `StoreUnavailable`.

        The caller has to `discharge` a slot that comes after its connection has gone.
        """
        answer = self._admission.wait_for_slot(address)
        if answer.done():
            return answer
        if self._exchanges.is_away:
            self._admission.failed()
        self._pacing.wake()
        return answer

    def discharge(self, address: str) -> None:
        """Give up the slot of a connection, under the address that it was admitted with."""
        self._admission.discharge(address)
        self._pacing.wake_within(RELEASE_SECONDS)

    # Counts and session rows

    @property
    def deltas(self) -> Deltas:
        """The counts to add to; call `counted` after it."""
        return self._outbox.deltas

    def counted(self) -> None:
        """Take note that `deltas` has grown."""
        self._pacing.wake_within(COUNTS_SECONDS)

    def will_report(self, report: Callable[[], None]) -> None:
        """Have `report` add to `deltas` and `user_notes` once, soon: for what changes with every command."""
        self._outbox.report_later(report)
        self._pacing.wake_within(COUNTS_SECONDS)

    def count_refusal(self, username: str, reason: RefusalReason, origin: Origin, detail: str = "") -> None:
        """Count a refused login, and note it with what is kept of the user; `username` may be nobody's."""
        self.user_notes.refusal(username, reason, origin, detail)
        self._count(refused_field(reason))

    def count_damaged_unique_ids(self) -> None:
        """Count a login to a maildir with a damaged `peep-unique-ids`."""
        self._count(DAMAGED_UNIQUE_IDS)

    def _count(self, name: str) -> None:
        self._outbox.deltas.add(Deltas(latencies={name: 1}))
        self._pacing.wake_within(COUNTS_SECONDS)

    def session_opened(self, session_id: str, row: Callable[[], SessionRow]) -> None:
        """Show a session to operators; again when it has logged in.

        `row` is called when the session is written to the store. Most sessions end before that. What `row`
        adds to `deltas` travels with it.
        """
        self._outbox.open_session(session_id, row, self._clock())
        self._pacing.wake_within(COUNTS_SECONDS)

    def session_changed(self, session_id: str) -> None:
        """Have the session's `row` called again soon: it has changed."""
        self._outbox.change_session(session_id, self._clock())
        self._pacing.wake_within(CHANGED_ROW_SECONDS)

    def session_closed(self, session_id: str) -> None:
        """Stop showing a session."""
        self._outbox.close_session(session_id)
        self._pacing.wake_within(COUNTS_SECONDS)

    # Maildrop locks

    def lock_maildrop(self, login: Login) -> "asyncio.Future[LoginOutcome]":
        """Return a future for a maildrop's lock: the store's answer, or `StoreUnavailable`.

        It must not be cancelled: the caller has to release a lock that comes after its connection has gone.
        """
        if self._exchanges.is_away:
            refused: asyncio.Future[LoginOutcome] = asyncio.get_running_loop().create_future()
            refused.set_exception(StoreUnavailable("away"))
            return refused
        answer = self._outbox.log_in(login)
        self._pacing.wake()
        return answer

    async def tell_refusal(self, login: Login, reason: RefusalReason) -> str:
        """Tell operators that a right password is refused; return, for them, who holds its maildrop."""
        try:
            return await self._repository.tell_refusal(login, reason)
        except StoreUnavailable:
            return ""

    def release_maildrop(self, username: str, session_id: str) -> None:
        """Give a maildrop's lock back."""
        self._outbox.release(username, session_id)
        self._pacing.wake_within(RELEASE_SECONDS)

    def withdraw_login(self, username: str, session_id: str) -> None:
        """Give back the lock of a login that failed after it: no login delay results from it."""
        self._outbox.withdraw(username, session_id)
        self._pacing.wake_within(RELEASE_SECONDS)


async def _go_on_after_bugs(run: Callable[[], Awaitable[None]]) -> None:
    """Run for ever: without one of these tasks a process looks alive, and leaves its clients waiting."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("bug")
            await asyncio.sleep(BUG_SECONDS)
