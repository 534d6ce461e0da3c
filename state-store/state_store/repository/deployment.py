"""The deployment that a store belongs to: no process uses a store that is emptied or another's."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import structlog

from state_store.errors import StoreEmptied
from state_store.redis import keys
from state_store.redis.client import RedisClient

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class DeploymentStore:
    """The store of one deployment, at the Redis that `url` names; `address` lists the forms of it.

    `deployment_learned` is called with the deployment's id when it becomes known.
    """

    def __init__(self, url: str, *, deployment_learned: Callable[[str], None] = lambda _: None) -> None:
        self._client = RedisClient(url)
        self._deployment_learned = deployment_learned
        self.deployment = ""
        """The id of the deployment that this process works for; set before `prepare` if it is known."""
        self._secret: str | None = None

    async def attend(self) -> None:
        """Make sure that the store is that of the deployment that this process works for.

        Raises `StoreEmptied` when it is not. Every method does so from then on, until the store is restored
        or accepted.
        """
        deployment, is_missed = await self._client.script("attend", self.deployment, secrets.token_hex(20))
        if is_missed:
            if self._client.refusal is None:
                log.error("THE STORE HAS LOST ITS USERS", reason=str(StoreEmptied()))
            self._client.refusal = StoreEmptied
            raise StoreEmptied
        if self._client.refusal is not None:
            self._client.refusal = None
            self._secret = None  # a store that was accepted as it is has another one
            log.warning("the store is this deployment's again")
        if deployment != self.deployment and deployment:
            self.deployment = deployment
            self._deployment_learned(deployment)

    async def _ours(self, *words: Any) -> Any:
        """Return the answer to a command that may find nothing, once it is sure that the store is ours."""
        # Both travel together: what is not there takes no longer than what is.
        answer, deployment = await asyncio.gather(
            self._client.send(*words), self._client.send("GET", keys.DEPLOYMENT)
        )
        if deployment != (self.deployment or None):
            await self.attend()
        return answer
