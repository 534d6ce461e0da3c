"""Wrong passwords by network and user, over all replicas and front ends (P18)."""

from collections.abc import Collection

from state_store.audit import Actor
from state_store.credentials.attempts import (
    Attempt,
    Decision,
    Outcome,
    RefusalReason,
    SlowDown,
    Verdict,
    slow_down,
)
from state_store.errors import UnknownSlowDown
from state_store.repository.deployment import DeploymentStore


class AttemptRepository(DeploymentStore):
    """Decides which passwords may be checked, and shows operators what is slowed down."""

    async def recognise(self, subject: str, network: str) -> bool:
        """Return whether `subject` (see `attempts.subject`) has logged in from this network lately."""
        return bool(await self._client.script("recognise", subject, network))

    async def begin_attempt(
        self,
        attempt: Attempt,
        *,
        ahead: Collection[str] = (),
        is_first: bool = True,
        as_unknown: bool = False,
    ) -> Decision:
        """Return whether a password may be checked now; one that may has to be ended with `end_attempt`.

        Nothing is taken from the allowances in `ahead`, for which others wait. An attempt that is repeated is
        not `is_first`. With `as_unknown` it draws on what unknown pairs have, known or not.
        """
        verdict, from_pair, from_network, wait_ms, allowance, entry = await self._client.script(
            "begin_attempt",
            attempt.subject,
            attempt.network,
            attempt.digest,
            int(attempt.is_trusted),
            int(as_unknown),
            int(is_first),
            *(int(allowance in ahead) for allowance in attempt.allowances),
        )
        return Decision(
            Verdict(verdict), bool(from_pair), bool(from_network), wait_ms / 1000, allowance, entry
        )

    async def end_attempt(
        self, attempt: Attempt, decision: Decision, outcome: Outcome, reason: RefusalReason | None = None
    ) -> None:
        """Report the outcome: a right password and one that could not be checked cost nothing.

        A right one makes the pair of user and network a known one.
        """
        await self._client.script(
            "end_attempt",
            attempt.subject,
            attempt.network,
            decision.refused_entry,
            outcome.value,
            int(decision.from_pair),
            int(decision.from_network),
            reason.value if reason is not None else "",
        )

    async def slow_downs(self) -> list[SlowDown]:
        """Return the allowances that were used up and are not whole again, the oldest first."""
        found = [
            slow_down(allowance, since / 1000, held, until / 1000)
            for allowance, since, held, until in await self._client.script("slow_downs")
        ]
        return sorted(found, key=lambda one: one.since)

    async def lift_slow_down(self, slow_down_id: str, *, by: Actor) -> None:
        """Make an allowance whole now. Raises `UnknownSlowDown`."""
        if not await self._client.script("lift_slow_down", by.packed(), slow_down_id):
            raise UnknownSlowDown
