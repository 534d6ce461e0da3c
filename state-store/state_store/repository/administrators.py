"""The administrators of PEEP and HTTP: who they are, their password hashes, and ended sign-ins."""

import asyncio
import json
from collections.abc import Mapping

from state_store.administrators import Administrator, Role
from state_store.audit import Actor, Door
from state_store.credentials.networks import network_of
from state_store.errors import (
    AdministratorExists,
    AdministratorOfSettings,
    ChangedTooOften,
    LastAdministrator,
    StateError,
    TooMany,
    UnknownAdministrator,
)
from state_store.records import Naming
from state_store.redis import keys
from state_store.repository.answers import flat, pairs
from state_store.repository.deployment import DeploymentStore

_REFUSALS: Mapping[str, type[StateError]] = {
    "exists": AdministratorExists,
    "full": TooMany,
    "unknown": UnknownAdministrator,
    "settings": AdministratorOfSettings,
    "last": LastAdministrator,
    "often": ChangedTooOften,
}
"""What `change_administrator.lua` answers when it has changed nothing."""


class AdministratorRepository(DeploymentStore):
    """Administrators: those that settings name, and those that were made while the services run.

    A name is one or the other; the settings win.
    """

    async def administrator(self, name: str) -> Administrator | None:
        """Return the administrator of a name, or None."""
        made, password_hash = await asyncio.gather(
            self._client.send("HGET", keys.MADE_ADMINISTRATORS, name),
            self._ours("HGET", keys.ADMINISTRATORS, name),
        )
        if password_hash is not None:
            return Administrator(name, Role.ALL, password_hash)
        return None if made is None else _made(name, made)

    async def administrators(self) -> dict[str, Administrator]:
        """Return every administrator by name."""
        made, named = await asyncio.gather(
            self._client.send("HGETALL", keys.MADE_ADMINISTRATORS),
            self._ours("HGETALL", keys.ADMINISTRATORS),
        )
        found = {name: _made(name, text) for name, text in pairs(made).items()}
        return found | {name: Administrator(name, Role.ALL, text) for name, text in pairs(named).items()}

    async def administrators_of_settings(self) -> set[str]:
        """Return the names of those that settings of running front ends name."""
        return set(await self._client.script("names_of_settings"))

    async def add_administrator(self, name: str, role: Role, password_hash: str, *, by: Actor) -> None:
        """Make an administrator. Raises `AdministratorExists` and `TooMany`."""
        await self._change_administrator(by, "add", name, role.value, password_hash)

    async def set_administrator_password(self, name: str, password_hash: str, *, by: Actor) -> None:
        """Give an administrator another password, which ends all sign-ins with the old one.

        Raises `UnknownAdministrator`, `AdministratorOfSettings` and, for the own password, `ChangedTooOften`.
        """
        await self._change_administrator(by, "password", name, "", password_hash)

    async def set_administrator_role(self, name: str, role: Role, *, by: Actor) -> None:
        """Give an administrator another role, which ends all sign-ins with the old one.

        Raises `UnknownAdministrator`, `AdministratorOfSettings` and `LastAdministrator`.
        """
        await self._change_administrator(by, "role", name, role.value, "")

    async def remove_administrator(self, name: str, *, by: Actor) -> None:
        """Remove an administrator, and end all sign-ins. Raises what `set_administrator_role` raises."""
        await self._change_administrator(by, "remove", name, "", "")

    async def replace_administrators(
        self,
        hashes: Mapping[str, str],
        front_end: str = "",
        naming: Naming = Naming.START,
        *,
        known: Mapping[str, str] | None = None,
        by: Actor,
    ) -> bool:
        """Make these the administrators that a front end's settings name, in the way of `naming`.

        Unless `naming` is `KEEP` or `FIRST`, this removes names that no front end names that was seen within
        `records.FRONT_END_SECONDS`; it never removes those made while the services run. Returns False, and
        changes nothing, where `FIRST` finds somebody who may do everything, or where a name has got another
        hash than in `known` meanwhile.
        """
        before = "" if known is None else json.dumps(known)
        arguments = by.packed(), front_end, naming.value, before, *flat(hashes)
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
        words = by.packed(), int(is_each_noted), network_of(by.address)
        return int(await self._client.script("note_sign_in", *words)) / 1000

    async def note_refused_sign_in(self, *, by: Actor) -> None:
        """Count a refused sign-in, whose actor has no name: what was given as one may be a password."""
        await self._client.script("note_refused_sign_in", by.packed())

    async def _change_administrator(
        self, by: Actor, change: str, name: str, role: str, password_hash: str
    ) -> None:
        answer = await self._client.script(
            "change_administrator", by.packed(), change, name, role, password_hash
        )
        if answer in _REFUSALS:
            raise _REFUSALS[answer]


def _made(name: str, text: str) -> Administrator:
    role, *rest = text.split(" ")
    return Administrator(name, Role(role), *rest)
