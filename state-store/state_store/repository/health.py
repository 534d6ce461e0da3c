"""Changes of health, and which process notes them."""

from collections.abc import Sequence
from itertools import chain

from state_store.health import HealthChange, NewHealthChange
from state_store.redis import keys
from state_store.repository.answers import pairs, stream_position
from state_store.repository.deployment import DeploymentStore


class HealthRepository(DeploymentStore):
    """Changes of health: one process at a time notes them, in a step that also shows them as an activity."""

    async def watch_health(self, process_id: str) -> dict[str, str] | None:
        """Return the noted states by "<name> <subject>" if it is this process's turn, else None.

        The turn stays with the process until it has not asked for `HEALTH_TURN_SECONDS`.
        """
        noted = await self._client.script("watch_health", process_id)
        return None if noted is None else pairs(noted)

    async def note_health(self, process_id: str, changes: Sequence[NewHealthChange]) -> None:
        """Note changes, unless the turn has gone to another process, or they are noted already."""
        await self._client.script("note_health", process_id, *chain.from_iterable(changes))

    async def health_changes(self, since: float, limit: int) -> list[HealthChange]:
        """Return the newest changes since a time, in seconds since the epoch, the newest first."""
        first = f"{max(0, round(since * 1000))}-0"
        command = ("XREVRANGE", keys.HEALTH_CHANGES, "+", first, "COUNT", limit)
        return [_change(entry_id, pairs(fields)) for entry_id, fields in await self._client.command(*command)]


def _change(entry_id: str, fields: dict[str, str]) -> HealthChange:
    at = stream_position(entry_id)[0] / 1000
    return HealthChange(
        at, fields["name"], fields["subject"], fields["state"], fields["text"], int(fields["count"])
    )
