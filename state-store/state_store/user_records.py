"""What is kept of each user, as one short text in the store: the last login, refusals, traffic by days."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from state_store.credentials.attempts import RefusalReason
from state_store.user_notes import NoteKind, Origin

# Plain words: a member of an enumeration costs more than all else that is done with a note.
_LOGIN, _REFUSAL = NoteKind.LOGIN.value, NoteKind.REFUSAL.value
_TRAFFIC, _REMOVED = NoteKind.TRAFFIC.value, NoteKind.REMOVED.value

DAY_SECONDS = 86_400
DAYS = 7
"""Traffic is counted by day for so many days, today among them. Days and months are those of UTC."""

GROUPS = 512
"""The records of all users are kept in so many texts. Writing one costs the store as much as twenty notes
in an exchange, so the notes of several users are added at once."""


@dataclass(frozen=True, slots=True)
class LastLogin:
    """A user's last login, and what the maildrop held then."""

    at: int
    """Seconds since the epoch, by the store's clock, as all times here."""
    origin: Origin
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A user's refused logins for one reason."""

    reason: RefusalReason
    at: int
    """When the last one was; `origin` and `detail` are those of the last one too."""
    count: int
    """Since the last login."""
    origin: Origin
    detail: str = ""
    """Who has the maildrop open and since when, or what is wrong with the maildir; clients never get it."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was sent to a user."""

    octets: int = 0
    """Octets of replies to commands, as `rb?` counts them."""
    messages: int = 0
    """Messages sent whole, as `re?` counts them."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """What is known of one user at one moment."""

    last_login: LastLogin | None = None
    refused: list[Refused] = field(default_factory=list)
    """The latest first."""
    today: Traffic = Traffic()
    week: Traffic = Traffic()
    """Today and the six days before."""
    month: Traffic = Traffic()
    """The calendar month so far."""


@dataclass(slots=True)
class Note:
    """A note of a user, or the sum of several of one day that follow each other."""

    at: int
    """When the store took it, or the last login in it, in seconds since the epoch."""
    text: str
    """Its kind, and the words after it except those of traffic."""
    day: int
    """The day of its traffic; -1: it has none, and takes no other note."""
    octets: int
    messages: int
    before: "Note | None"
    """The user's last note before it."""

    def __iter__(self) -> "Iterator[Note]":
        """Return the user's notes up to this one, in their order."""
        notes, note = [self], self.before
        while note is not None:
            notes.append(note)
            note = note.before
        return reversed(notes)


NotesOfUsers = dict[str, Note]
"""The last note of each user."""


def read_notes(lines: Iterable[str], notes: NotesOfUsers, at: int = 0) -> int:
    """Add what the store has in these lines to the notes of each user, summed as far as can be.

    Notes are headed by `=` and the time; return the last one, for lines that follow.
    """
    day = at // DAY_SECONDS
    for line in lines:
        user, tab, text = line.partition("\t")
        if not tab:
            if line:
                at = int(line[1:])
                day = at // DAY_SECONDS
            continue
        note, kind = notes.get(user), text[0]
        if kind != _LOGIN and kind != _TRAFFIC:
            notes[user] = Note(at, text, -1, 0, 0, note)
            continue
        text, octets, messages = text.rsplit(" ", 2)
        if note is not None and note.day == day:
            if kind == _LOGIN:
                note.at, note.text = at, text
            note.octets += int(octets)
        else:
            notes[user] = note = Note(at, text, day, int(octets), 0, note)
        if messages != "0":  # most sessions ask for new mail, and find none
            note.messages += int(messages)
    return at


class RecordText:
    """A record as the store has it: traffic, last login, refusals, separated by tabs; parsed when needed.

    The traffic is a word `DAY:OCTETS:MESSAGES` for each day, the newest first, and last a word
    `OCTETS:MESSAGES` of what the newest day's month had before that day. Refusals, one for each reason, are
    separated by `;`.
    """

    __slots__ = ("_login", "_refusals", "_traffic")

    def __init__(self, text: str = "") -> None:
        self._traffic, self._login, self._refusals = _parts(text)

    @property
    def text(self) -> str:
        """What the store keeps; empty when nothing is left."""
        return _text(self._traffic, self._login, self._refusals)

    def take(self, at: int, note: str) -> None:
        """Add a note of that moment."""
        notes = NotesOfUsers()
        read_notes([f"\t{note}"], notes, at)
        self.take_all(notes[""])

    def take_all(self, notes: Iterable[Note]) -> None:
        """Add notes, in their order."""
        self._traffic, self._login, self._refusals = _parts(with_notes(self.text, notes))

    def forget_before(self, at: int) -> None:
        """Remove what is older than that time."""
        if self.last_login_at < at:
            self._login = ""
        if self._refusals:
            kept = [one for one in self._refusals.split(";") if int(one.split(" ", 2)[1]) >= at]
            self._refusals = ";".join(kept)
        if self._traffic and int(self._traffic.partition(":")[0]) < at // DAY_SECONDS:
            self._traffic = ""

    def read(self, now: int) -> UserRecord:
        """Return the record as it is at that time."""
        refused = [_refused(one) for one in self._refusals.split(";") if one]
        refused.sort(key=lambda one: one.at)
        return UserRecord(
            _last_login(self._login) if self._login else None,
            refused[::-1],
            *self.traffic(now // DAY_SECONDS),
        )

    def traffic(self, today: int) -> tuple[Traffic, Traffic, Traffic]:
        """Return the traffic of this day, of the week that ends with it, and of its month."""
        if not self._traffic:
            return Traffic(), Traffic(), Traffic()
        *texts, before = self._traffic.split(" ")
        days = [tuple(map(int, one.split(":"))) for one in texts]
        week = [one for one in days if today - DAYS < one[0]]
        of_today = [one for one in week if one[0] >= today]
        month = (0, *map(int, before.split(":")))
        of_month = [month, days[0]] if _month(days[0][0]) == _month(today) else []
        return _sum(of_today), _sum(week), _sum(of_month)

    @property
    def last_login_at(self) -> int:
        """When the last login was; 0: none is known."""
        return int(self._login.partition(" ")[0]) if self._login else 0

    @property
    def last_refusal_at(self) -> int:
        """When the last refusal was; 0: none is known."""
        return self._last_refusal()[0]

    @property
    def last_refusal_reason(self) -> RefusalReason | None:
        """Why the last refusal was; None: none is known."""
        reason = self._last_refusal()[1]
        return RefusalReason[reason] if reason else None

    def _last_refusal(self) -> tuple[int, str]:
        last = 0, ""
        for one in self._refusals.split(";") if self._refusals else ():
            reason, at, _ = one.split(" ", 2)
            if int(at) >= last[0]:
                last = int(at), reason
        return last

    @property
    def maildrop_octets(self) -> int:
        """Octets of the maildrop at the last login."""
        return int(self._login.rpartition(" ")[2]) if self._login else 0


def with_notes(record: str, notes: Iterable[Note]) -> str:
    """Return a record, as the store has it, with these notes, which are added in their order."""
    traffic, login, refusals = _parts(record)
    for note in notes:
        if note.day >= 0:
            if note.text != _TRAFFIC:
                login = f"{note.at} {note.text[2:]}"
                if refusals:
                    refusals = _begun_anew(refusals)
            traffic = _with_traffic(traffic, note.day, note.octets, note.messages)
        elif note.text == _REMOVED:
            traffic = login = refusals = ""
        else:
            refusals = _with_refusal(refusals, note.at, note.text[2:])
    return _text(traffic, login, refusals)


def _parts(record: str) -> tuple[str, str, str]:
    traffic, login, refusals = record.split("\t") if record else ("", "", "")
    return traffic, login, refusals


def _text(traffic: str, login: str, refusals: str) -> str:
    return f"{traffic}\t{login}\t{refusals}" if traffic or login or refusals else ""


def _with_traffic(traffic: str, day: int, octets: int, messages: int) -> str:
    if not octets and not messages:
        return traffic
    newest, _, others = traffic.partition(" ")
    if not newest:
        return f"{day}:{octets}:{messages} 0:0"
    its_day, its_octets, its_messages = newest.split(":")
    if int(its_day) == day:
        return f"{day}:{int(its_octets) + octets}:{int(its_messages) + messages} {others}"
    *days, before = others.split(" ")
    octets_before, messages_before = before.split(":")
    if _month(int(its_day)) == _month(day):
        before = f"{int(octets_before) + int(its_octets)}:{int(messages_before) + int(its_messages)}"
    else:
        before = "0:0"
    return " ".join((f"{day}:{octets}:{messages}", newest, *days[: DAYS - 2], before))


def _with_refusal(refusals: str, at: int, text: str) -> str:
    reason, count, where = text.split(" ", 2)
    where, kept, total = where.replace(";", ","), [], int(count)
    for one in refusals.split(";") if refusals else ():
        its_reason, its_at, its_count, its_where = one.split(" ", 3)
        if its_reason == reason:
            total += int(its_count)
            if int(its_at) > at:  # those of strangers are not added in order
                at, where = int(its_at), its_where
        else:
            kept.append(one)
    kept.append(f"{reason} {at} {total} {where}")
    return ";".join(kept)


def _begun_anew(refusals: str) -> str:
    words = [one.split(" ", 3) for one in refusals.split(";")]
    return ";".join(f"{reason} {at} 0 {where}" for reason, at, _, where in words)


def group_of(username: str) -> int:
    """Return which of the groups of records has this user's."""
    return crc32(username.encode()) % GROUPS


def records_in(group: str) -> dict[str, str]:
    """Return the records of a group, as `RecordText` reads them, by user."""
    return dict(line.split("\t", 1) for line in group.split("\n")[1:-1])


def group_text(records: Mapping[str, str]) -> str:
    """Return these records as the store has them: each line, the first one too, is between two line ends."""
    lines = [f"{user}\t{text}" for user, text in records.items() if text]
    return "\n".join(("", *lines, "")) if lines else ""


def _sum(days: list[tuple[int, ...]]) -> Traffic:
    return Traffic(sum(one[1] for one in days), sum(one[2] for one in days))


def _month(day: int) -> int:
    year, month, *_ = time.gmtime(day * DAY_SECONDS)
    return year * 100 + month


def _last_login(text: str) -> LastLogin:
    at, address, tls, mechanism, messages, octets = text.split(" ")
    return LastLogin(int(at), _origin(address, tls, mechanism), int(messages), int(octets))


def _refused(text: str) -> Refused:
    reason, at, count, address, tls, mechanism, *rest = text.split(" ", 6)
    return Refused(
        RefusalReason[reason], int(at), int(count), _origin(address, tls, mechanism), "".join(rest)
    )


def _origin(*words: str) -> Origin:
    return Origin(*("" if word == "-" else word for word in words))
