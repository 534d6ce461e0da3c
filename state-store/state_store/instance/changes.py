"""What the store notifies an instance of: what operators set, wanted slots, sessions to close."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from state_store.errors import StoreUnavailable
from state_store.instance.admission import Admission
from state_store.instance.lease import Lease
from state_store.instance.options import InstanceCallbacks
from state_store.records import Notification, NotificationKind, Settings
from state_store.refused_networks import RefusedNetworks
from state_store.repository import StateRepository

log = structlog.get_logger()


class Changes:
    """Follows the store's notifications, and keeps in force what operators have set.

    `wake` begins an exchange.
    """

    def __init__(
        self,
        repository: StateRepository,
        lease: Lease,
        admission: Admission,
        networks: RefusedNetworks,
        wake: Callable[[], None],
        callbacks: InstanceCallbacks,
    ) -> None:
        self.settings = Settings()
        self.is_listening = asyncio.Event()
        """Set once the store's notifications arrive."""
        self._repository = repository
        self._lease = lease
        self._admission = admission
        self._networks = networks
        self._refusals_version = 0
        """Of what `networks` goes by; -1: another server may have counted on from the same version."""
        self._disconnections = 0
        self._refreshing = asyncio.Lock()
        self._wake = wake
        self._callbacks = callbacks
        self._verdicts: set[asyncio.Task[None]] = set()

    def are_due(self, version: int) -> bool:
        """Return whether something is to be read anew, where the store has this version."""
        return version != self.settings.obeyed_version or self._refusals_version < 0

    async def refresh(self) -> None:
        """Read the settings and refusals in force, and act on what has changed. Raises `StoreUnavailable`."""
        async with self._refreshing:
            await self._refresh()

    async def _refresh(self) -> None:
        disconnections = self._disconnections
        settings = await self._repository.settings()
        if settings.refusals_version != self._refusals_version:
            await self._obey_refusals()
            # What was read before a disconnection may be another server's, with the same version.
            is_lasting = disconnections == self._disconnections
            self._refusals_version = settings.refusals_version if is_lasting else -1
        before, self.settings = self.settings, settings
        if settings == before:
            return
        if settings.max_connections != before.max_connections:
            self._admission.limit_changed()
        self._wake()
        if replace(settings, refusals_version=before.refusals_version) != before:
            self._callbacks.settings_changed()

    async def _obey_refusals(self) -> None:
        rules, suspended = await self._repository.refused_networks(self._lease.instance_id)
        await self._networks.replace(rules)
        await self._callbacks.refusals_changed(suspended)

    async def listen(self) -> None:
        """Act on notifications for ever."""
        async for notification in self._repository.notifications():
            if notification.kind is NotificationKind.RECONNECTED:
                self.is_listening.set()
            try:
                await self._act_on(notification)
            except StoreUnavailable as error:
                log.debug("state store did not answer", reason=str(error))

    async def _act_on(self, notification: Notification) -> None:
        if notification.kind is NotificationKind.DIRECTORY_PROPOSED:
            task = asyncio.create_task(self._judge(notification))
            self._verdicts.add(task)
            task.add_done_callback(self._verdicts.discard)
        elif notification.kind is NotificationKind.SLOTS_WANTED:
            self._admission.shrink()
            self._wake()
        elif notification.kind is NotificationKind.SESSION_TO_CLOSE:
            self._callbacks.close_session(notification.identifier)
        elif notification.kind is NotificationKind.DISCONNECTED:
            self._disconnections += 1
            self._refusals_version = -1
            self._wake()  # the next exchange shows whether the store is away
        else:
            await self.refresh()

    async def _judge(self, proposal: Notification) -> None:
        fault = await self._callbacks.directory_fault(proposal.path)
        try:
            await self._repository.answer_proposal(proposal.identifier, self._lease.instance_id, fault)
        except StoreUnavailable as error:
            log.warning("verdict on a mail directory lost", reason=str(error))
