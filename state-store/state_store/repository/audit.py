"""Reads the audit. Scripts write it: each writes the entry in the same step as the change."""

from collections.abc import AsyncIterator
from typing import Any

from state_store.audit import Act, Actor, Door, Page, Wanted
from state_store.redis import keys
from state_store.repository.answers import pairs, stream_position
from state_store.repository.deployment import DeploymentStore

FIRST, LAST = "-", "+"
"""The ends of a stream."""

EXPORTED_AT_ONCE = 500


class AuditRepository(DeploymentStore):
    """Entries by page, in either direction."""

    async def keep_audit(self, entries: int, days: int, *, by: Actor) -> None:
        """From now on keep at most so many entries, and none that is older than `days`."""
        await self._client.script("keep_audit", by.packed(), entries, days)

    async def note_elsewhere(self, action: str, acted_on: str, old: str, new: str, *, by: Actor) -> None:
        """Add an entry for what a command on the machine changes outside of the store."""
        await self._client.script("note_act", by.packed(), action, acted_on, old, new)

    async def acts_before(self, act_id: str, limit: int, wanted: Wanted) -> Page:
        """Return the newest entries before this one, the newest first; with an empty id the newest of all."""
        if act_id and stream_position(act_id) == (0, 0):  # Redis refuses to read before the first possible id
            return Page([], "")
        acts, last_read, has_more = await self._page("XREVRANGE", act_id, limit, wanted)
        return Page(acts, last_read if has_more else "")

    async def acts_after(self, act_id: str, limit: int, wanted: Wanted) -> Page:
        """Return the oldest entries after this one, the oldest first; with an empty id the oldest of all.

        `next_id` is where to go on, also for future entries.
        """
        acts, last_read, _ = await self._page("XRANGE", act_id, limit, wanted)
        return Page(acts, last_read or act_id)

    async def all_acts(self, wanted: Wanted, after: str = "", before: str = "") -> AsyncIterator[Act]:
        """Yield every entry that there is now, the oldest first; only those between these ids, if given."""
        newest = await self.acts_before(before, 1, Wanted())
        last = stream_position(newest.acts[0].act_id if newest.acts else "0-0")
        while True:
            page = await self.acts_after(after, EXPORTED_AT_ONCE, wanted)
            for act in page.acts:
                if stream_position(act.act_id) > last:
                    return
                yield act
            if page.next_id == after:
                return
            after = page.next_id

    async def act(self, act_id: str) -> Act | None:
        """Return the entry with this id, None if there is none or it was removed."""
        entries = await self._client.command("XRANGE", keys.AUDIT, act_id, act_id)
        return _act(*entries[0]) if entries else None

    async def _page(
        self, command: str, act_id: str, limit: int, wanted: Wanted
    ) -> tuple[list[Act], str, bool]:
        """Return entries, the id of the last one that was read, and whether there are more."""
        low = FIRST if wanted.since is None else _id_at(wanted.since)
        high = LAST if wanted.until is None else f"({_id_at(max(wanted.until, 0.001))}"
        start = high if command == "XREVRANGE" else low
        if act_id and _is_within(act_id, wanted):
            start = f"({act_id}"
        filters = wanted.who, wanted.door, wanted.action, wanted.object
        acts: list[Act] = []
        last, has_more = "", True
        while has_more and len(acts) < limit:
            end = low if command == "XREVRANGE" else high
            answer = await self._client.script("audit_page", command, start, end, limit - len(acts), *filters)
            entries, last_read, has_more = answer
            acts += [_act(*entry) for entry in entries]
            last = last_read or last
            start = f"({last_read}"
        return acts, last, bool(has_more)


def _is_within(act_id: str, wanted: Wanted) -> bool:
    at = stream_position(act_id)[0] / 1000
    return (wanted.since or 0.0) <= at and (wanted.until is None or at < wanted.until)


def _act(act_id: str, fields: Any) -> Act:
    values = pairs(fields)
    by = Actor(values["who"], Door(values["door"]), values["address"], values["token"])
    at = stream_position(act_id)[0] / 1000
    return Act(act_id, at, by, values["action"], values["object"], values["old"], values["new"])


def _id_at(seconds: float) -> str:
    return f"{max(0, round(seconds * 1000))}-0"
