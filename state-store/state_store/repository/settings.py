"""What operators set: limits, timeouts, the mail directory."""

import asyncio
import secrets
from collections.abc import Mapping

from state_store.audit import SETTINGS_CHANGED, Act, Actor
from state_store.errors import MailDirectoryRefused, NotUndoable, SettingsChanged
from state_store.records import Settings
from state_store.redis import keys
from state_store.repository.answers import AGREED, POLL_SECONDS, pairs
from state_store.repository.deployment import DeploymentStore
from state_store.repository.obedience import until_obeyed

PROPOSAL_SECONDS = 3.0
"""How long the live instances may take to examine a proposed mail directory."""

_CHANGED_MEANWHILE = -1
"""What `change_settings.lua` answers instead of a version when another change came first."""


_FIELDS = {"max_connections", "timeout_seconds", "mail_directory"}
"""What operators set."""


def is_undoable(act: Act) -> bool:
    """Return whether an act is a change of what operators set, from a value that there was."""
    return act.action == SETTINGS_CHANGED and act.object in _FIELDS and bool(act.old)


class SettingsRepository(DeploymentStore):
    """The settings in force, and how they change."""

    async def settings(self) -> Settings:
        """Return the settings in force."""
        fields = pairs(await self._client.command("HGETALL", keys.SETTINGS))
        default, refusals_version = Settings(), int(fields.get("refusals_version", 0))
        return Settings(
            max_connections=int(fields.get("max_connections", default.max_connections)),
            timeout_seconds=int(fields.get("timeout_seconds", default.timeout_seconds)),
            mail_directory=fields.get("mail_directory") or fields.get("announced_directory", ""),
            version=int(fields.get("version", 0)) - refusals_version,
            refusals_version=refusals_version,
        )

    async def change_settings(
        self,
        *,
        by: Actor,
        max_connections: int | None = None,
        timeout_seconds: int | None = None,
        mail_directory: str | None = None,
        if_version: int | None = None,
    ) -> Settings:
        """Set what is given, all of it or nothing, and return the settings once live instances obey them.

        A mail directory is set only when every live POP3 instance has agreed (P12): raises
        `MailDirectoryRefused` when one cannot use it or none is there to ask. Raises `SettingsChanged`
        when `if_version` is given and is not the version of the settings any more.
        """
        if if_version is not None and (await self.settings()).version != if_version:
            raise SettingsChanged
        if mail_directory is not None:
            await self.examine_mail_directory(mail_directory)
        changes = {
            "max_connections": max_connections,
            "timeout_seconds": timeout_seconds,
            "mail_directory": mail_directory,
        }
        await self._change(
            by, {name: value for name, value in changes.items() if value is not None}, if_version
        )
        return await self.settings()

    async def undo(self, act: Act, *, by: Actor, even_if_changed: bool = False) -> Settings:
        """Give a setting the value back that it had before this act; return the settings in force.

        Raises `SettingsChanged` if it has another value by now than the act gave it, unless
        `even_if_changed`, `NotUndoable`, and what `change_settings` raises.
        """
        if not is_undoable(act):
            raise NotUndoable
        if act.object == "mail_directory":
            await self.examine_mail_directory(act.old)
        await self._change(by, {act.object: act.old}, None, "" if even_if_changed else act.new)
        return await self.settings()

    async def announce_mail_directory(self, path: str, *, overrides: bool, by: Actor) -> str:
        """Name the directory that holds until one is first set, and return the one in force.

        An announcement that `overrides`, as a POP3 instance's does, replaces an earlier one while no instance
        is live.
        """
        return str(await self._client.script("announce_directory", by.packed(), path, int(overrides)))

    async def examine_mail_directory(self, path: str) -> None:
        """Return where every live POP3 instance can use this mail directory.

        Raises `MailDirectoryRefused` when one cannot, or none is there to ask.
        """
        proposal_id = secrets.token_hex(8)
        asked = await self._client.script("propose_directory", proposal_id, path)
        if not asked:
            raise MailDirectoryRefused(["no POP3 process is there to ask"])
        verdicts = await self._verdicts(proposal_id, len(asked))
        faults = [
            f"{await self._name_of(instance_id)}: {_fault_in_words(verdicts.get(instance_id))}"
            for instance_id in asked
            if verdicts.get(instance_id) != AGREED
        ]
        if faults:
            raise MailDirectoryRefused(faults)

    async def _name_of(self, instance_id: str) -> str:
        found = await self._client.command("HMGET", keys.INSTANCE + instance_id, "host", "process_id")
        host, process_id = (value or "?" for value in found)
        return f"{host}, process {process_id} (instance {instance_id})"

    async def _verdicts(self, proposal_id: str, expected: int) -> dict[str, str]:
        end = asyncio.get_running_loop().time() + PROPOSAL_SECONDS
        while True:
            verdicts = pairs(await self._client.command("HGETALL", keys.PROPOSAL + proposal_id))
            if len(verdicts) >= expected or asyncio.get_running_loop().time() > end:
                return verdicts
            await asyncio.sleep(POLL_SECONDS)

    async def _change(
        self, by: Actor, changes: Mapping[str, str | int], if_version: int | None, if_value: str = ""
    ) -> None:
        expected = "" if if_version is None else if_version
        default = Settings()
        words = [
            word
            for name, value in changes.items()
            for word in (name, value, getattr(default, name), if_value)
        ]
        version = await self._client.script("change_settings", by.packed(), expected, *words)
        if version == _CHANGED_MEANWHILE:
            raise SettingsChanged
        await until_obeyed(self._client, version)  # an instance that is dead or cut off obeys when it is back


def _fault_in_words(verdict: str | None) -> str:
    if verdict is None:
        return f"no answer within {PROPOSAL_SECONDS:g} s"
    return "cannot use it" if verdict == "0" else verdict  # 0: a process of an earlier version
