"""The lease of one POP3 process: under which id the store knows it, and until when that surely holds."""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from state_store.audit import on_this_machine
from state_store.errors import StoreUnavailable
from state_store.instance.options import InstanceOptions
from state_store.records import LEASE_SECONDS, Instance
from state_store.repository import StateRepository
from state_store.vitals import Vitals

MARGIN_SECONDS = 3.0
"""So long before its end a lease counts as held no more: a removal that has begun must fit into the rest."""

log = structlog.get_logger()


class Lease:
    """Registers an instance, under a new id each time, and knows how long its lease surely holds."""

    def __init__(
        self,
        repository: StateRepository,
        options: InstanceOptions,
        vitals: Callable[[], Vitals],
        clock: Callable[[], float],
    ) -> None:
        self.instance_id = ""
        self.ends_at = 0.0
        """By `clock`; 0 while there is no lease."""
        self._repository = repository
        self._options = options
        self._vitals = vitals
        self._clock = clock
        self._untold = 0

    @property
    def is_held(self) -> bool:
        """Whether the lease surely holds for `MARGIN_SECONDS` more."""
        return self._clock() < self.ends_at - MARGIN_SECONDS

    def still_holds(self, instance_id: str) -> bool:
        """Return whether what was locked under `instance_id` is surely ours for `MARGIN_SECONDS` more.

        After a lapse the instance has another id, and holds nothing that it held before. Safe to call from
        any thread.
        """
        # In this order: a new id is set before its lease begins, so the lease just read is the old id's.
        return self.is_held and instance_id == self.instance_id

    async def register(self) -> None:
        """Begin a lease under a new id. Raises `StoreUnavailable`, also as `LayoutDiffers`."""
        about = self._options
        await self._repository.attend()
        if about.mail_directory:
            # After a lapse too: an emptied store that was accepted knows of no directory.
            await self._repository.announce_mail_directory(
                about.mail_directory, overrides=True, by=on_this_machine("pop3-service")
            )
        self.instance_id = secrets.token_hex(4)
        asked_at = self._clock()
        await self._repository.register_instance(
            Instance(
                self.instance_id,
                about.host,
                about.process_id,
                about.version,
                time.time(),
                about.worker,
                about.layout,
            )
        )
        self.renewed(asked_at)

    def renewed(self, asked_at: float) -> None:
        """Take note that the store has renewed the lease on a request made at `asked_at`, by `clock`."""
        self.ends_at = asked_at + LEASE_SECONDS

    def lapsed(self) -> None:
        """Take note that the lease is over."""
        if self.ends_at:
            log.warning("the lease is over: closing all sessions", instance=self.instance_id)
        self.ends_at = 0.0

    async def note_vitals(self, round_trip: float = 0.0) -> None:
        """Tell the store how this process is; the renewal took it `round_trip` seconds.

        A failure refuses no client: where the store is away, the next exchange finds out.
        """
        vitals = replace(self._vitals(), told_at=time.time(), round_trip=round(round_trip, 6))
        try:
            await self._repository.note_vitals(self.instance_id, vitals)
            self._untold = 0
        except StoreUnavailable as error:
            self._untold += 1
            if self._untold == 2:  # though a renewal has come through in between
                log.warning("health and history are not written", reason=str(error))

    async def end(self) -> None:
        """Give up the lease and everything that hangs on it."""
        await self._repository.end_instance(self.instance_id)
