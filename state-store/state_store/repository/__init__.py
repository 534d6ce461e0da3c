"""The state of Peep in the words of its services: settings, users, administrators, refusals, counters."""

import time
from contextlib import suppress

import structlog

from state_store.audit import Actor
from state_store.errors import StoreEmptied, StoreUnavailable
from state_store.redis import keys
from state_store.repository.administrators import AdministratorRepository
from state_store.repository.answers import seconds_of
from state_store.repository.api_tokens import ApiTokenRepository
from state_store.repository.attempts import AttemptRepository
from state_store.repository.audit import AuditRepository
from state_store.repository.health import HealthRepository
from state_store.repository.history import HistoryRepository
from state_store.repository.instances import InstanceRepository
from state_store.repository.monitoring import MonitoringRepository
from state_store.repository.moves import MoveRepository
from state_store.repository.refusals import RefusalRepository
from state_store.repository.settings import SettingsRepository
from state_store.repository.user_records import UserRecordRepository
from state_store.repository.users import UserRepository
from state_store.store_status import StoreStatus

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class StateRepository(
    SettingsRepository,
    AuditRepository,
    UserRepository,
    UserRecordRepository,
    AdministratorRepository,
    ApiTokenRepository,
    AttemptRepository,
    MonitoringRepository,
    HealthRepository,
    HistoryRepository,
    MoveRepository,
    RefusalRepository,
    InstanceRepository,
):
    """Everything that Peep keeps, in the Redis that a URL names.

    Every method may raise `StoreUnavailable`; its docstring names the other errors. Each change is one
    script, which is one atomic step.
    """

    async def prepare(self) -> None:
        """Check that the store can serve us. Raises `StoreUnusable` where it never will."""
        await self._client.check_server(keys.LAYOUT, keys.LAYOUT_VERSION)
        for warning in await self.warnings():
            log.warning(warning)
        with suppress(StoreEmptied):  # it may be restored, or accepted, while we serve
            await self.attend()

    async def accept(self, *, by: Actor) -> int:
        """Go on with a store that has lost its users; return how many deployments were missed in it."""
        return len(await self._client.script("accept_store", by.packed()))

    async def ping(self) -> None:
        """Return when the store answers and takes writes."""
        # A write that changes nothing and leaves no trace, but is refused where writes are.
        await self._client.command("SET", keys.PULSE, "", "XX")

    async def warnings(self) -> list[str]:
        """Return what is dangerous about the store as it is set up, a line each."""
        try:
            about = await self._client.send("INFO", "memory")
        except StoreUnavailable:
            return []  # away, which `ping` shows, or INFO is forbidden
        return StoreStatus.of(0.0, 0.0, str(about)).warnings

    async def store_status(self) -> StoreStatus:
        """Return how the server that takes our writes is."""
        began = time.monotonic()
        now = seconds_of(await self._client.command("TIME"))
        round_trip = time.monotonic() - began
        clock_ahead = now + round_trip / 2 - time.time()
        try:
            return StoreStatus.of(round_trip, clock_ahead, str(await self._client.send("INFO")))
        except StoreUnavailable:
            return StoreStatus(round_trip, clock_ahead)  # `INFO` is forbidden, or it has gone since

    async def close(self) -> None:
        """Close all connections to the store."""
        await self._client.close()
