"""Suspended users, banned and exempt networks."""

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from state_store.audit import Actor
from state_store.errors import UnknownRefusal
from state_store.redis import keys
from state_store.refusals import (
    MOST_REFUSALS,
    NewRefusal,
    Refusal,
    RefusalCounts,
    RefusalKind,
    RefusalOutcome,
    RefusalPage,
    refusal_id,
)
from state_store.refused_networks import NetworkRule, seconds_left
from state_store.repository.deployment import DeploymentStore
from state_store.repository.obedience import until_obeyed

REFUSALS_A_STEP = 100
"""Refusals that one run of a script sets, which blocks Redis for some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class RefusalsSet:
    """What became of refusals that were to be set, in their order."""

    outcomes: list[RefusalOutcome]
    is_obeyed: bool
    """Whether every live instance applies them already."""
    ignorant: list[str]
    """Host and version of live instances that know no refusals: until their upgrade they let everybody in."""


class RefusalRepository(DeploymentStore):
    """Sets, lifts and lists refusals. Each ends by itself at its time, by the store's clock."""

    async def refuse(self, new: Sequence[NewRefusal], *, by: Actor, most: int = MOST_REFUSALS) -> RefusalsSet:
        """Set refusals, `REFUSALS_A_STEP` at a time, and return when every live instance applies them.

        The instances have then closed the sessions of these users and networks. Waits at most a second for
        instances that do not answer. While there are `most`, new ones are `FULL`.
        """
        # Exemptions first: a ban of an earlier step would close sessions that a later step exempts.
        order = sorted(range(len(new)), key=lambda number: new[number].kind is not RefusalKind.EXEMPT)
        outcomes: dict[int, RefusalOutcome] = {}
        version, ignorant = 0, list[str]()
        for first in range(0, len(new), REFUSALS_A_STEP):
            numbers = order[first : first + REFUSALS_A_STEP]
            words = [
                word
                for one in map(new.__getitem__, numbers)
                for word in (one.kind.value, one.subject, round(one.until * 1000), one.reason)
            ]
            answer = await self._client.script("refuse", by.packed(), _line(by.name), most, *words)
            version, answers, ignorant = answer
            outcomes |= zip(numbers, map(RefusalOutcome, answers), strict=True)
        is_obeyed = await until_obeyed(self._client, version)
        return RefusalsSet(
            [outcomes[number] for number in range(len(new))], is_obeyed and not ignorant, ignorant
        )

    async def lift_refusal(self, lifted: str, *, by: Actor) -> bool:
        """End the refusal of this id, and return whether every live instance has; waits as `refuse` does.

        Raises `UnknownRefusal`.
        """
        version = await self._client.script("lift_refusal", by.packed(), _line(by.name), lifted)
        if not version:
            raise UnknownRefusal
        return await until_obeyed(self._client, version)

    async def refusals(
        self, limit: int, *, after: str = "", kind: RefusalKind | None = None, text: str = ""
    ) -> RefusalPage:
        """Return at most `limit` refusals with `text` in their subject, their reason or the setter's name.

        `after` is `next_after` of the page before.
        """
        if text:
            return await self._found(limit, after, kind, text)
        first, end = (f"[{kind.value} ", f"({kind.value}!") if kind is not None else ("-", "+")
        start = f"({after}" if after and f"[{after}" >= first else first
        rows: list[str] = []
        while True:
            *counts, found, last = await self._client.script("list_refusals", start, end)
            rows += found
            if len(rows) > limit or not last:
                break
            start = f"({last}"
        return _page(rows, limit, RefusalCounts(*counts))

    async def _found(self, limit: int, after: str, kind: RefusalKind | None, text: str) -> RefusalPage:
        # All rows, of one moment: to send them takes Redis less time than to search a part of them.
        counts, rows = await asyncio.gather(
            self.refusal_counts(), self._client.command("HVALS", keys.REFUSALS)
        )
        # Rows sort as their names do. Only those of the page are parsed.
        likely = sorted([row for row in rows if text in row])
        rest = islice(likely, bisect_right(likely, after, key=_name), None)
        of_kind = f"{kind.value}\n" if kind is not None else ""
        found = islice((row for row in rest if row.startswith(of_kind) and _holds(row, text)), limit + 1)
        return _page(list(found), limit, counts)

    async def refusal_counts(self) -> RefusalCounts:
        """Return how many refusals of each kind are in force."""
        *counts, _, _ = await self._client.script("list_refusals", "+", "-")  # an empty range: no rows
        return RefusalCounts(*counts)

    async def suspension(self, username: str, version: str = "") -> Refusal | None:
        """Return the suspension of a user, None for one who is not suspended.

        With the `version` of a credential, also None when the user has another password by now.
        """
        row = await self._client.script("suspension", username, version)
        return None if row is None else _refusal(row)

    async def lift_suspension(self, username: str, *, by: Actor) -> bool:
        """End the suspension of a user, as `lift_refusal` does."""
        return await self.lift_refusal(refusal_id(RefusalKind.SUSPEND, username), by=by)

    async def refused_networks(self, instance_id: str) -> tuple[list[NetworkRule], Mapping[str, str]]:
        """Return the bans and exemptions in force, and the sessions to close for suspensions.

        The latter are the ids of sessions of this instance, each with the reason.
        """
        rules: list[NetworkRule] = []
        sessions: dict[str, str] = {}
        after = ""
        while True:
            now, after, words, closed = await self._client.script("refused_networks", instance_id, after)
            rules += [
                NetworkRule(RefusalKind(kind), network, reason, seconds_left(int(until) / 1000, now / 1000))
                for kind, network, until, reason in zip(*[iter(words)] * 4, strict=True)
            ]
            sessions |= zip(closed[::2], closed[1::2], strict=True)
            if not after:
                return rules, sessions


def _page(rows: Sequence[str], limit: int, counts: RefusalCounts) -> RefusalPage:
    """Return the page in these rows; there is a next one if they are more than `limit`."""
    page = list(map(_refusal, rows[:limit]))
    next_after = _name(rows[limit - 1]) if len(rows) > limit else ""
    return RefusalPage(page, next_after, counts)


def _name(row: str) -> str:
    kind, subject, _ = row.split("\n", 2)
    return f"{kind} {subject}"


def _holds(row: str, text: str) -> bool:
    """Return whether a row contains the text where people look for it: not in its kind or times."""
    _, subject, _, _, by, reason = row.split("\n")
    return text in subject or text in by or text in reason


def _refusal(row: str) -> Refusal:
    kind, subject, since, until, by, reason = row.split("\n")
    return Refusal(RefusalKind(kind), subject, reason, int(until) / 1000, by, int(since) / 1000)


def _line(name: str) -> str:
    """Return an administrator's name as one line: in settings it may have any characters."""
    return "".join(character if character.isprintable() else "?" for character in name)
