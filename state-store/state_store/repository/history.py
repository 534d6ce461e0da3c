"""What was it like at three: the history of the main figures."""

from collections.abc import Sequence

from state_store.history import Span, Step
from state_store.redis import keys
from state_store.repository.deployment import DeploymentStore


class HistoryRepository(DeploymentStore):
    """The history that the instances write as they renew their leases (D98)."""

    async def history(self, span: Span) -> Sequence[Step]:
        """Return the steps of a span, the oldest first; one that nothing is known of has no samples."""
        packed = await self._client.command("GET", f"{keys.HISTORY}{span.ring.step}")
        return list(span.steps((packed or "").encode("utf-8", "surrogateescape")))
