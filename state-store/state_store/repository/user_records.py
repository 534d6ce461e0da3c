"""Users' records: the notes of all instances wait in one text, and are added to the records many at once."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

from state_store.records import OWN_SCHEME
from state_store.redis import keys
from state_store.repository.answers import flat
from state_store.repository.deployment import DeploymentStore
from state_store.repository.users import names_between
from state_store.user_notes import NoteKind
from state_store.user_records import (
    DAY_SECONDS,
    GROUPS,
    Note,
    NotesOfUsers,
    RecordText,
    UserRecord,
    group_of,
    group_text,
    read_notes,
    records_in,
    with_notes,
)

TURN_SECONDS = 15.0
"""How long an instance that has the turn to add notes keeps it after it has died."""

TAKEN_OCTETS = 5_000_000
"""So many octets of notes are worth taking: some 150 notes for each group that is written for them."""

TAKEN_SECONDS = 3600
"""Older notes are taken even if they are few."""

GROUPS_AT_ONCE = 8
"""Groups that are written at once: 160 of 10,000 users, for one or two milliseconds of the event loop."""

GROUPS_READ_AT_ONCE = 32
LINES_AT_ONCE = 1000

NAMES_AT_ONCE = 1000

STRANGERS = ""
"""The name of the record of all unknown names and of clients before their login. It is in no group."""

_LOGIN, _REFUSAL = NoteKind.LOGIN.value, NoteKind.REFUSAL.value
_TRAFFIC, _REMOVED = NoteKind.TRAFFIC.value, NoteKind.REMOVED.value


@dataclass(frozen=True, slots=True)
class UserRecords:
    """The records of some users at one moment, including the notes that wait."""

    at: int
    """Seconds since the epoch, by the store's clock."""
    since: int
    """When the first record was made; 0: there is none."""
    records: dict[str, UserRecord]


class ListedUser(NamedTuple):
    """A user as lists show it."""

    username: str
    record: str
    """The record, as `RecordText` reads it."""
    is_suspended: bool
    scheme: str
    """Of the password's hash."""
    at: int
    """When this was read, in seconds since the epoch."""


class StoredRecords:
    """The answer of the script `user_records`: the records of some groups, and the notes that wait.

    With `names`, the notes of other users are left out: to read all of them may take 40 ms.
    """

    def __init__(self, groups: Collection[int], answer: Any, names: Collection[str] | None = None) -> None:
        at_ms, (strangers, *texts), since, step, taken, waiting = answer
        self.at = at_ms // 1000
        self._groups = groups
        self._records = {STRANGERS: strangers or ""}
        for text in texts:
            self._records |= records_in(text or "")
        self._notes = _waiting_notes(int(step or 0) % GROUPS, taken or "", waiting or "", names)
        self.since = int(since or _since(waiting or ""))

    @property
    def refused_names(self) -> list[str]:
        """Names under which somebody was refused: they may be nobody's."""
        return [name for name, its in self._notes.items() if any(note.text[0] == _REFUSAL for note in its)]

    def of(self, username: str) -> RecordText:
        """Return a user's record."""
        return RecordText(with_notes(self._records.get(username, ""), self._notes.get(username, ())))

    def of_strangers(self, names: Iterable[str]) -> RecordText:
        """Return the record of strangers, with the notes that wait for these unknown names."""
        record = RecordText(self._records[STRANGERS])
        for name in {STRANGERS, *names}:
            _add_as_strangers(record, self._notes.get(name, ()))
        return record

    def texts(self) -> dict[str, str]:
        """Return the records of all users in these groups who have one, as the store would have them."""
        noted = (name for name in self._notes if group_of(name) in self._groups)
        return self._records | {name: self.of(name).text for name in noted}


class UserRecordRepository(DeploymentStore):
    """Keeps users' records, and shows them."""

    async def user_records(self, usernames: Sequence[str]) -> UserRecords:
        """Return the records of at most `NAMES_AT_ONCE` users; an empty one of a user without any."""
        names = None if STRANGERS in usernames else set(usernames)
        stored = await self._stored_records(set(map(group_of, usernames)), names)
        records = {name: stored.of(name) for name in usernames}
        if STRANGERS in records:
            records[STRANGERS] = stored.of_strangers(await self._nobodys(stored.refused_names))
        read = {name: record.read(stored.at) for name, record in records.items()}
        return UserRecords(stored.at, stored.since, read)

    async def recorded_since(self) -> int:
        """Return when the first record was made, in seconds since the epoch; 0: there is none."""
        # In this order: between the two the notes may be taken, which sets the key.
        waiting = await self._client.command("GETRANGE", keys.USER_NOTES, 0, 20)
        since = await self._client.command("GET", keys.RECORDS_SINCE)
        return int(since or _since(waiting))

    async def every_user_record(self) -> dict[str, str]:
        """Return the records of all users who have one, as `RecordText` reads them."""
        return await self._texts(range(GROUPS))

    async def listed_users(
        self, after: str, limit: int, prefix: str = "", records: Mapping[str, str] | None = None
    ) -> list[ListedUser]:
        """Return at most `limit` users, sorted by name, whose names begin with `prefix` and follow `after`.

        At most 1,000 at once. Their figures are those of `records`; without it, what they are now.
        """
        first, last = names_between(after, prefix)
        at, names, marks = await self._client.script("user_page", first, last, limit)
        if records is None:
            records = await self._texts(sorted(set(map(group_of, names))), set(names))
        return [
            ListedUser(
                name, records.get(name, ""), mark.startswith("!"), mark.removeprefix("!") or OWN_SCHEME, at
            )
            for name, mark in zip(names, marks, strict=True)
        ]

    async def take_user_notes(
        self, instance_id: str, *, from_octets: int = TAKEN_OCTETS, groups_at_once: int = GROUPS_AT_ONCE
    ) -> None:
        """Add the notes that wait to the records, if they are many or old and this instance has the turn.

        Each note is added exactly once, even if this is interrupted or runs twice: the instance that has the
        turn next continues.
        """
        words = (instance_id, int(TURN_SECONDS * 1000), from_octets, TAKEN_SECONDS)
        step = await self._client.script("next_user_notes", *words)
        if not step:
            return
        # If another instance has finished these notes meanwhile, this is the text of later ones, and the
        # script refuses the step.
        text = await self._client.command("GET", keys.USER_NOTES_TAKEN) or ""
        groups = await _grouped(text, step % GROUPS)
        numbers = sorted(groups)
        for first in range(0, max(len(numbers), 1), groups_at_once):
            some = numbers[first : first + groups_at_once]
            is_last = first + groups_at_once >= len(numbers)
            next_step = step - step % GROUPS + (GROUPS if is_last else some[-1] + 1)
            its_groups = {number: groups[number] for number in some}
            if not await self._take_step(instance_id, step, next_step, its_groups):
                return
            step = next_step

    async def forget_user_records(self, group: int, days: int) -> None:
        """Remove what is older than so many days, by the store's clock, from one of the `GROUPS`."""
        before = await self._client.script("now") // 1000 - days * DAY_SECONDS
        (text,) = await self._groups([group])
        records = {user: RecordText(record) for user, record in records_in(text).items()}
        for record in records.values():
            record.forget_before(before)
        left = group_text({user: record.text for user, record in records.items()})
        if left != text:
            await self._client.script("forget_user_records", group, text, left)

    async def forget_all_user_records(self) -> None:
        """Remove all records, and what waits for them."""
        groups = [_key(group) for group in (STRANGERS, *range(GROUPS))]
        await self._client.command(
            "UNLINK", keys.USER_NOTES, keys.USER_NOTES_TAKEN, keys.RECORDS_SINCE, *groups
        )

    async def _take_step(
        self, instance_id: str, step: int, next_step: int, groups: Mapping[int, NotesOfUsers]
    ) -> bool:
        """Add these notes to the records of their groups; return False when another instance has done it."""
        *texts, of_strangers = await self._groups([*groups, STRANGERS])
        strangers, read = RecordText(of_strangers), list(map(records_in, texts))
        unknown = [notes.keys() - records for notes, records in zip(groups.values(), read, strict=True)]
        nobodys = await self._nobodys(list(chain(*unknown)))
        written: dict[str, str] = {}
        for (number, notes), records in zip(groups.items(), read, strict=True):
            for user, its_notes in notes.items():
                if user in nobodys:
                    _add_as_strangers(strangers, its_notes)
                    continue
                records[user] = with_notes(records.get(user, ""), its_notes)
            written[str(number)] = group_text(records)
        if strangers.text != of_strangers:
            written[STRANGERS] = strangers.text
        return await self._keep(instance_id, step, next_step, written)

    async def _keep(self, instance_id: str, step: int, next_step: int, written: dict[str, str]) -> bool:
        """Write these groups as that step; return False when another instance has made it."""
        kept = [name for name, text in written.items() if text]
        # The script renames the new texts instead of taking them as arguments: in Lua a value costs Redis
        # three times as much. Texts of another step or instance have another author, and are not renamed.
        author = f"{step} {instance_id}"
        new = {keys.NEW_USER_RECORDS + name: written[name] for name in kept}
        new[keys.NEW_USER_RECORDS + "author"] = author
        words = (step, next_step, author, len(kept), *kept, *(written.keys() - set(kept)))
        # Both travel together, and the script does nothing where the first has failed.
        asyncio.gather(self._client.send("MSET", *flat(new)), return_exceptions=True)
        return bool(await self._client.script("keep_user_records", *words))

    async def _groups(self, numbers: Iterable[int | str]) -> list[str]:
        return [text or "" for text in await self._client.command("MGET", *map(_key, numbers))]

    async def _texts(self, groups: Sequence[int], names: Collection[str] | None = None) -> dict[str, str]:
        """Return the records of all users in these groups who have one, as `RecordText` reads them.

        With `names`, those of others may lack what is not in their records yet.
        """
        records: dict[str, str] = {}
        for first in range(0, len(groups), GROUPS_READ_AT_ONCE):
            stored = await self._stored_records(groups[first : first + GROUPS_READ_AT_ONCE], names)
            records |= stored.texts()
        return records

    async def _stored_records(self, groups: Collection[int], names: Collection[str] | None) -> StoredRecords:
        answer = await self._client.script("user_records", _key(STRANGERS), *map(_key, groups))
        return StoredRecords(groups, answer, names)

    async def _nobodys(self, names: Sequence[str]) -> set[str]:
        """Return which of these names no user has; the empty one is such a name."""
        scores = await self._client.command("ZMSCORE", keys.USERNAMES, *names) if names else []
        return {name for name, score in zip(names, scores, strict=True) if score is None}


def _key(group: int | str) -> str:
    return f"{keys.USER_RECORDS}{group}"


def _add_as_strangers(record: RecordText, notes: Iterable[Note]) -> None:
    """Add what was noted under a name that nobody has, maybe no more: all but that somebody logged in."""
    left = (note for note in notes if note.text != _REMOVED)
    record.take_all(replace(note, text=_TRAFFIC) if note.text[0] == _LOGIN else note for note in left)


def _since(waiting: str) -> int:
    """Return when the first of the notes that wait was taken; 0: there is none."""
    begun = re.match("\n=([0-9]+)", waiting)
    return int(begun[1]) if begun else 0


def _waiting_notes(done: int, taken: str, waiting: str, names: Collection[str] | None = None) -> NotesOfUsers:
    """Return the notes that are in no record: of those that are being taken the first `done` groups' are."""
    notes = NotesOfUsers()
    read_notes(_lines(taken, names), notes)
    for name in [name for name in notes if group_of(name) < done]:
        del notes[name]
    read_notes(_lines(waiting, names), notes)
    return notes


def _lines(notes: str, names: Collection[str] | None) -> list[str]:
    """Return the lines of notes, or those of these users alone, with the times above them."""
    lines = notes.split("\n")
    if names is None:
        return lines
    return [line for line in lines if line[:1] == "=" or line.partition("\t")[0] in names]


async def _grouped(text: str, first: int) -> dict[int, NotesOfUsers]:
    """Return the notes of the groups from `first` on, by group."""
    lines, at = text.split("\n"), 0
    notes = NotesOfUsers()
    for start in range(0, len(lines), LINES_AT_ONCE):
        at = read_notes(lines[start : start + LINES_AT_ONCE], notes, at)
        await asyncio.sleep(0)
    groups: dict[int, NotesOfUsers] = defaultdict(dict)
    items = list(notes.items())
    for start in range(0, len(items), LINES_AT_ONCE):
        for user, its_notes in items[start : start + LINES_AT_ONCE]:
            number = group_of(user)
            if number >= first:
                groups[number][user] = its_notes
        await asyncio.sleep(0)
    return groups
