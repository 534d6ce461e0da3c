"""Reads the history of the main figures."""

import asyncio

from state_store.history import History, Span
from state_store.redis import keys
from state_store.repository.deployment import DeploymentStore


class HistoryRepository(DeploymentStore):
    """The history that the instances write as they renew their leases (D98)."""

    async def history(self, span: Span) -> History:
        """Return the figures of a span."""
        packed = await self._client.command("GET", f"{keys.HISTORY}{span.ring.step}")
        # A year takes 30 ms to unpack, which must not block the event loop.
        return await asyncio.to_thread(span.of_samples, (packed or "").encode("utf-8", "surrogateescape"))
