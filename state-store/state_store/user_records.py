"""What is kept of each user, as one short text in the store: the last login, refusals, traffic by days."""

import time
from dataclasses import dataclass, field

from state_store.credentials.attempts import RefusalReason
from state_store.user_notes import NoteKind, Origin

# Plain words: a member of an enumeration costs more than all else that is done with a note.
_LOGIN, _REFUSAL, _TRAFFIC = NoteKind.LOGIN.value, NoteKind.REFUSAL.value, NoteKind.TRAFFIC.value

DAY_SECONDS = 86_400
DAYS = 7
"""So many days have counts of their own, today's among them. Days and months are those of UTC."""


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
    """The last one; `origin` and `detail` are its too."""
    count: int
    """Since the last login."""
    origin: Origin
    detail: str = ""
    """Who has the maildrop open since when, or what is wrong with the maildir; never for the client."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was sent to a user."""

    octets: int = 0
    """Of replies to commands, as `rb?` counts them."""
    messages: int = 0
    """Sent whole, as `re?` counts them."""


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


class RecordText:
    """A record as the store has it: three texts separated by tabs, each read only where it is needed.

    They are the traffic, as the month and its days, the newest first; the last login; the refusals, one for
    each reason, separated by `;`.
    """

    __slots__ = ("_login", "_refusals", "_traffic")

    def __init__(self, text: str = "") -> None:
        self._traffic, self._login, self._refusals = text.split("\t") if text else ("", "", "")

    @property
    def text(self) -> str:
        """What the store keeps; empty when nothing is left."""
        parts = (self._traffic, self._login, self._refusals)
        return "\t".join(parts) if any(parts) else ""

    def take(self, at: int, kind: str, text: str) -> None:
        """Add a note of that moment."""
        if kind == _TRAFFIC:
            octets, _, messages = text.partition(" ")
            self._add_traffic(at // DAY_SECONDS, int(octets), int(messages))
        elif kind == _LOGIN:
            self._login = f"{at} {text}"
            if self._refusals:
                self._begin_counts_anew()
        elif kind == _REFUSAL:
            self._add_refusal(at, text)

    def forget_before(self, at: int) -> None:
        """Forget what is older than that moment."""
        if self.last_login_at < at:
            self._login = ""
        if self._refusals:
            kept = [one for one in self._refusals.split(";") if int(one.split(" ", 2)[1]) >= at]
            self._refusals = ";".join(kept)
        if self._traffic and int(self._traffic.split(" ")[1].partition(":")[0]) < at // DAY_SECONDS:
            self._traffic = ""

    def read(self, now: int) -> UserRecord:
        """Return what this says at that moment."""
        refused = sorted(
            (_refused(one) for one in self._refusals.split(";") if one), key=lambda one: one.at, reverse=True
        )
        return UserRecord(
            _last_login(self._login) if self._login else None,
            refused,
            *self.traffic(now // DAY_SECONDS),
        )

    def traffic(self, today: int) -> tuple[Traffic, Traffic, Traffic]:
        """Return the traffic of this day, of the week that ends with it, and of its month."""
        if not self._traffic:
            return Traffic(), Traffic(), Traffic()
        month, *days = (tuple(map(int, one.split(":"))) for one in self._traffic.split(" "))
        week = [one for one in days if today - DAYS < one[0]]
        of_today = [one for one in week if one[0] >= today]
        of_month = [month] if month[0] == _month(today) else []
        return _sum(of_today), _sum(week), _sum(of_month)

    @property
    def last_login_at(self) -> int:
        """When the last login was; 0: none is known."""
        return int(self._login.partition(" ")[0]) if self._login else 0

    @property
    def last_refusal_at(self) -> int:
        """When the last refusal was; 0: none is known."""
        return max((int(one.split(" ", 2)[1]) for one in self._refusals.split(";") if one), default=0)

    @property
    def maildrop_octets(self) -> int:
        """Octets of the maildrop at the last login."""
        return int(self._login.rpartition(" ")[2]) if self._login else 0

    def _add_traffic(self, day: int, octets: int, messages: int) -> None:
        month, *days = self._traffic.split(" ") if self._traffic else [""]
        newest = days[0] if days else ""
        name = f"{day}:"
        if newest.startswith(name):
            days[0] = name + _added(newest, octets, messages)
            month = f"{month.partition(':')[0]}:{_added(month, octets, messages)}"
        else:
            name_of_month = f"{_month(day)}:"
            before = month if month.startswith(name_of_month) else ":0:0"
            month = name_of_month + _added(before, octets, messages)
            days = [f"{day}:{octets}:{messages}", *days[: DAYS - 1]]
        self._traffic = " ".join((month, *days))

    def _add_refusal(self, at: int, text: str) -> None:
        reason, count, where = text.split(" ", 2)
        kept, total = [], int(count)
        for one in self._refusals.split(";") if self._refusals else ():
            its_reason, _, its_count, _ = one.split(" ", 3)
            if its_reason == reason:
                total += int(its_count)
            else:
                kept.append(one)
        kept.append(f"{reason} {at} {total} {where.replace(';', ',')}")
        self._refusals = ";".join(kept)

    def _begin_counts_anew(self) -> None:
        words = [one.split(" ", 3) for one in self._refusals.split(";")]
        self._refusals = ";".join(f"{reason} {at} 0 {where}" for reason, at, _, where in words)


def _added(counts: str, octets: int, messages: int) -> str:
    _, before, messages_before = counts.split(":")
    return f"{int(before) + octets}:{int(messages_before) + messages}"


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
