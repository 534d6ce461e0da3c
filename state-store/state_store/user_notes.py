"""What an instance notes of users between two exchanges: logins, refusals, traffic. The notes are text."""

import re
from enum import StrEnum
from typing import NamedTuple

from state_store.credentials.attempts import RefusalReason

MOST_REFUSALS = 1000
"""Refusals of so many names and reasons are kept apart in an exchange; further ones are only counted."""

DETAIL_CHARACTERS = 200
"""The longest detail of a refusal."""

_NOTHING = [0, 0]

# P11: any other name belongs to nobody.
_POSSIBLE_NAME = re.compile(r"[!-\-0-~][!-.0-~]{0,127}")


class Origin(NamedTuple):
    """From where and how somebody logs in."""

    address: str = ""
    tls: str = ""
    """The version of TLS; empty in the clear."""
    mechanism: str = ""
    """`USER` (with PASS), `PLAIN` or `SCRAM-SHA-256`; empty where none was chosen."""


class NoteKind(StrEnum):
    """The kinds of notes. A note is a line: the user or nothing, a tab, the kind, and words after it."""

    LOGIN = "l"
    """`address tls mechanism messages octets`, `-` for an empty word, then the words of TRAFFIC."""
    REFUSAL = "r"
    """`REASON count address tls mechanism detail`."""
    TRAFFIC = "t"
    """`octets messages`."""
    REMOVED = "d"
    """Nothing: the user was removed; written by `remove_user.lua`."""


class UserNotes:
    """Collects notes until `take`. With `is_kept` false nothing is noted."""

    def __init__(self, *, is_kept: bool = True) -> None:
        self._is_kept = is_kept
        self._lines: list[str] = []
        self._refusals: dict[tuple[str, RefusalReason], tuple[int, str]] = {}
        self._logins: dict[str, tuple[Origin, int, int]] = {}
        self._traffic: dict[str, list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._logins or self._traffic or self._refusals or self._lines)

    def login(self, user: str, origin: Origin, messages: int, octets: int) -> None:
        """Note a login, and what the maildrop held then."""
        if not self._is_kept:
            return
        if self._refusals:
            self._write()  # a login begins their count anew
        self._logins[user] = (origin, messages, octets)

    def refusal(self, user: str, reason: RefusalReason, origin: Origin, detail: str = "") -> None:
        """Note a refused login. Impossible and unknown names are not kept, only their number."""
        if not self._is_kept:
            return
        is_somebody = reason is not RefusalReason.UNKNOWN_USER and _POSSIBLE_NAME.fullmatch(user)
        key = (user if is_somebody and len(self._refusals) < MOST_REFUSALS else "", reason)
        count, _ = self._refusals.get(key, (0, ""))
        where = " ".join(word or "-" for word in origin) if key[0] else "- - -"
        self._refusals[key] = (count + 1, f"{where} {_one_line(detail)}" if key[0] else where)

    def traffic(self, user: str, octets: int, messages: int) -> None:
        """Note octets that were sent, and messages that were sent whole; `user` is empty before a login."""
        if not self._is_kept:
            return
        counts = self._traffic.get(user)
        if counts is None:
            self._traffic[user] = [octets, messages]
        else:
            counts[0] += octets
            counts[1] += messages

    def take(self) -> str:
        """Return all notes as lines, and begin anew."""
        self._write()
        lines, self._lines = self._lines, []
        for user, (octets, messages) in self._traffic.items():
            lines.append(f"{user}\tt {octets} {messages}")
        self._traffic.clear()
        return "\n".join(lines)

    def _write(self) -> None:
        for user, ((address, tls, mechanism), held, its) in self._logins.items():
            octets, messages = self._traffic.pop(user, _NOTHING)
            self._lines.append(
                f"{user}\tl {address or '-'} {tls or '-'} {mechanism or '-'} {held} {its} {octets} {messages}"
            )
        self._logins.clear()
        for (user, reason), (count, where) in self._refusals.items():
            self._lines.append(f"{user}\tr {reason.name} {count} {where}")
        self._refusals.clear()


def _one_line(text: str) -> str:
    sendable = text.encode("utf-8", "replace").decode()
    return " ".join(sendable.split())[:DETAIL_CHARACTERS]
