"""Users' records: the instances' notes of users wait in a log, and are added to the records in turns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from state_store.records import OWN_SCHEME
from state_store.redis import keys
from state_store.repository.answers import flat, pairs
from state_store.repository.deployment import DeploymentStore
from state_store.repository.users import names_between
from state_store.user_notes import Note, NoteKind, notes_of
from state_store.user_records import DAY_SECONDS, RecordText, UserRecord

TURN_SECONDS = 15.0
"""An instance that had the turn and is gone keeps it for so long."""

ENTRIES_AT_ONCE = 16
"""Entries of the log that are added at once: some hundred users, for a millisecond of the event loop."""

NAMES_AT_ONCE = 1000

_LOGIN, _REMOVED = NoteKind.LOGIN.value, NoteKind.REMOVED.value

STRANGERS = ""
"""Whose record has all names that nobody has, and all clients before their login."""


@dataclass(frozen=True, slots=True)
class UserRecords:
    """The records of some users at one moment, exact: what waits in the log is in them."""

    at: int
    """Seconds since the epoch, by the store's clock."""
    since: int
    """When the first record was made; 0: there is none."""
    records: dict[str, UserRecord]


class ListedUser(NamedTuple):
    """A user as lists show it."""

    username: str
    record: str
    """What `RecordText` reads."""
    is_suspended: bool
    scheme: str
    """Of the password's hash."""
    at: int
    """When this was read, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the log."""

    at: int
    notes: list[Note]


class UserRecordRepository(DeploymentStore):
    """Keeps users' records, and shows them."""

    async def user_records(self, usernames: Sequence[str]) -> UserRecords:
        """Return the records of at most `NAMES_AT_ONCE` users; an empty one of a user without any."""
        return records_of(usernames, await self._client.script("user_records", *usernames))

    async def listed_users(self, after: str, limit: int, prefix: str = "") -> list[ListedUser]:
        """Return at most `limit` users, sorted by name, whose names begin with `prefix` and follow `after`.

        Their figures are some seconds old. At most 1,000 at once.
        """
        first, last = names_between(after, prefix)
        at, names, records, marks = await self._client.script("user_page", first, last, limit)
        return [
            ListedUser(name, text or "", mark.startswith("!"), mark.removeprefix("!") or OWN_SCHEME, at)
            for name, text, mark in zip(names, records, marks, strict=True)
        ]

    async def take_user_log(self, instance_id: str) -> bool:
        """Add the oldest notes of the log to the records, if it is this instance's turn.

        Each note is added once, also if this is cut short or done twice. Return whether there may be more.
        """
        taken, log = await self._client.script(
            "next_notes", instance_id, int(TURN_SECONDS * 1000), ENTRIES_AT_ONCE
        )
        if not log:
            return False
        entries = _entries(log)
        names = sorted({note.user for entry in entries for note in entry.notes} | {STRANGERS})
        # Not by a script: a value costs Redis three times as much in Lua.
        texts = await self._client.command("HMGET", keys.USER_RECORDS, *names)
        records = {name: RecordText(text or "") for name, text in zip(names, texts, strict=True)}
        new = [name for name, text in zip(names, texts, strict=True) if text is None and name != STRANGERS]
        scores = await self._client.command("ZMSCORE", keys.USERNAMES, *new) if new else []
        users = set(names) - {name for name, score in zip(new, scores, strict=True) if score is None}
        _add(entries, records, users)
        kept = {name: text for name in users if (text := records[name].text)}
        gone = records.keys() - kept.keys()
        await self._client.script("keep_user_records", taken, len(log), len(kept), *flat(kept), *gone)
        return True

    async def forget_user_records(self, cursor: int, days: int) -> int:
        """Look at some hundred records, and forget what is older than so many days, by the store's clock.

        `cursor` is what the last call returned, at first 0.
        """
        before = await self._client.script("now") // 1000 - days * DAY_SECONDS
        found = await self._client.command("HSCAN", keys.USER_RECORDS, cursor, "COUNT", 100)
        words: list[Any] = []
        for name, text in pairs(found[1]).items():
            record = RecordText(text)
            record.forget_before(before)
            if record.text != text and name != STRANGERS:
                words += (name, text, record.text)
        if words:
            await self._client.script("forget_user_records", *words)
        return int(found[0])

    async def forget_all_user_records(self) -> None:
        """Remove all records, and what waits for them."""
        await self._client.command("UNLINK", keys.USER_RECORDS, keys.USER_LOG, keys.RECORDS_SINCE)


def records_of(usernames: Sequence[str], answer: Any) -> UserRecords:
    """Return what the script `user_records` has answered of these users."""
    at_ms, texts, since, log = answer
    records = {name: RecordText(text or "") for name, text in zip(usernames, texts, strict=True)}
    _add(_entries(log), records, set(records))
    now = at_ms // 1000
    return UserRecords(now, int(since or 0), {name: one.read(now) for name, one in records.items()})


def _entries(log: Iterable[str]) -> list[_Entry]:
    return [_Entry(int(at), notes_of(lines)) for at, _, lines in (text.partition("\n") for text in log)]


def _add(entries: Iterable[_Entry], records: dict[str, RecordText], users: set[str]) -> None:
    """Add the notes to those of these records that are users'; what names nobody to the strangers'."""
    for entry in entries:
        for kind, user, text in entry.notes:
            if kind == _REMOVED:
                if user in records:
                    records[user] = RecordText()
            elif user in users:
                records[user].take(entry.at, kind, text)
            elif kind != _LOGIN and STRANGERS in records:
                records[STRANGERS].take(entry.at, kind, text)
