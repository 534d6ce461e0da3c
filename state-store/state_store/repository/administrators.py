"""The administrators of PEEP and HTTP: their password hashes, and ended sign-ins."""

from collections.abc import Mapping

from state_store.audit import Actor, Door
from state_store.records import Naming
from state_store.redis import keys
from state_store.repository.answers import flat, pairs
from state_store.repository.deployment import DeploymentStore


class AdministratorRepository(DeploymentStore):
    """Administrators, by name."""

    async def administrators(self) -> dict[str, str]:
        """Return the argon2id hash of every administrator by name."""
        return pairs(await self._ours("HGETALL", keys.ADMINISTRATORS))

    async def replace_administrators(
        self, hashes: Mapping[str, str], front_end: str = "", naming: Naming = Naming.START, *, by: Actor
    ) -> bool:
        """Make these the administrators that a front end's settings name, in the way of `naming`.

        Unless `naming` is `KEEP` or `FIRST`, this removes names that no front end names that was seen within
        `records.FRONT_END_SECONDS`. Returns False, and changes nothing, where `FIRST` finds other
        administrators.
        """
        arguments = by.packed(), front_end, naming.value, *flat(hashes)
        return bool(await self._client.script("name_administrators", *arguments))

    async def leave(self, front_end: str) -> None:
        """Take note that a front end ends. Its administrators stay until the next one names others."""
        await self._client.command("HDEL", keys.FRONT_ENDS, front_end)

    async def end_sign_in(self, sign_in_id: str, seconds: int, *, by: Actor) -> None:
        """Remember for so many seconds that this sign-in on the dashboard is over."""
        await self._client.script("end_sign_in", by.packed(), sign_in_id, seconds)

    async def is_ended_sign_in(self, sign_in_id: str) -> bool:
        """Return whether `end_sign_in` was called for it."""
        return bool(await self._client.command("EXISTS", keys.SIGNED_OUT + sign_in_id))

    async def note_sign_in(self, *, by: Actor) -> float:
        """Have a sign-in in the audit; return for how many seconds further ones like it are no new entry."""
        is_each_noted = by.door is Door.DASHBOARD
        return int(await self._client.script("note_sign_in", by.packed(), int(is_each_noted))) / 1000

    async def note_refused_sign_in(self, *, by: Actor) -> None:
        """Count a refused sign-in, whose actor has no name: what was given as one may be a password."""
        await self._client.script("note_refused_sign_in", by.packed())
