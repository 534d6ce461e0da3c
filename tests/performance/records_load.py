"""Work for callgrind to count, of what is kept of users: `records_load.py WHAT COUNT [URL]`.

`sessions` plays the sessions of a mail program that finds nothing new, as far as they are counted; `noted`
the same with notes of the users. `exchanges` and `noted_exchanges` tell a store of so many times 16 such
sessions. `fill` gives a store notes of so many users, as many as are taken at once; `take` takes them too.
"""

import asyncio
import itertools
import sys
from collections.abc import Callable
from typing import cast

import redis

from line_server.connection import LineConnection
from pop3_service.protocol.session import Session
from pop3_service.session_record import SessionRecord
from state_store.instance.live_instance import LiveInstance
from state_store.records import Credential, Deltas, Exchange, Instance, Login, LoginOutcome, SessionRow
from state_store.redis import client, keys, topology
from state_store.repository import StateRepository
from state_store.repository.user_records import TAKEN_OCTETS
from state_store.user_notes import Origin, UserNotes
from state_store.user_records import DAY_SECONDS, DAYS, RecordText
from support.kept_records import keep_records

SESSIONS_AT_ONCE = 16
REPLIES = (31, 28, 15, 40)
"""Octets of the replies to USER, PASS, STAT and QUIT."""

FEW_USERS, NOW = 200, 1_764_446_400
HOME = Origin("192.0.2.7", "TLSv1.3", "USER")


class Counting:
    """Stands for the instance of a process: has the counts, and shows no session."""

    def __init__(self, *, is_noting: bool) -> None:
        self.deltas = Deltas()
        self.user_notes = UserNotes(is_kept=is_noting)
        self._reports: list[Callable[[], None]] = []

    def will_report(self, report: Callable[[], None]) -> None:
        """Have it called before the notes are taken."""
        self._reports.append(report)

    def take_notes(self) -> str:
        """Return what was noted."""
        for report in self._reports:
            report()
        self._reports.clear()
        return self.user_notes.take()

    def session_opened(self, session_id: str, row: Callable[[], SessionRow]) -> None:
        """Show nothing."""


class NamedSession:
    """Stands for a dialogue: only whose it is."""

    def __init__(self) -> None:
        self.session_id, self.username = "1-1", cast("str | None", None)


def name_of(number: int) -> str:
    return f"user{number:06}@example.org"


def play(instance: Counting, username: str) -> None:
    """Count one session."""
    session = NamedSession()
    record = SessionRecord(
        cast(LiveInstance, instance), cast(Session, session), cast(LineConnection, None), 0.0
    )
    record.begin(20)
    position = 20
    for number, octets in enumerate(REPLIES):
        if number == 1:
            session.username = username
        position += octets
        record.sent(position)
        if number == 1:
            record.count_login(HOME, 20, 614_400)


def play_sessions(count: int, *, is_noting: bool) -> str:
    """Count so many sessions, and take the notes of those that share an exchange; return the last ones."""
    instance, notes = Counting(is_noting=is_noting), ""
    for number in range(count):
        play(instance, name_of(number % FEW_USERS))
        if number % SESSIONS_AT_ONCE == SESSIONS_AT_ONCE - 1:
            notes = instance.take_notes()
    return notes


async def exchange(repository: StateRepository, count: int, *, is_noting: bool) -> None:
    """Tell the store of so many times 16 sessions that begin, and as many that end."""
    names = [name_of(number) for number in range(FEW_USERS)]
    await repository.add_users([(name, Credential("$argon2id$none", "v1")) for name in names], by=None)
    await repository.register_instance(Instance("1", "host", 1, "1", 0.0))
    numbers, held = itertools.count(), cast("list[Login]", [])
    for sequence in range(1, count + 1):
        logins = [
            Login(
                name_of(number % FEW_USERS), f"1-{number}", "v1", "192.0.2.7", maildir=f"{number % FEW_USERS}"
            )
            for number in itertools.islice(numbers, SESSIONS_AT_ONCE)
        ]
        instance = Counting(is_noting=is_noting)
        for login in logins:
            play(instance, login.username)
        told = Exchange("1", sequence, exchange_number=sequence, logins=logins)
        told.releases = [(login.username, login.session_id) for login in held]
        told.open_connections = told.claimed_connections = SESSIONS_AT_ONCE
        told.deltas = Deltas(2000, 0, 0, SESSIONS_AT_ONCE, SESSIONS_AT_ONCE)
        told.deltas.user_notes = instance.take_notes()
        result = await repository.exchange(told)
        assert set(result.logins) == {LoginOutcome.OPENED}
        held = logins


def fill(url: str, users: int) -> None:
    """Keep records of a week of so many users, and as many new notes of them as are taken at once."""
    record = RecordText()
    for day in range(DAYS):
        record.take(NOW - (DAYS - 1 - day) * DAY_SECONDS, "l 192.0.2.7 TLSv1.3 USER 20 614400 614400 20")
    server = redis.Redis.from_url(url, decode_responses=True, socket_timeout=60)
    keep_records(server, {name_of(number): record.text for number in range(users)})
    pieces, octets, numbers = list[str](), 0, itertools.count(1)
    while octets < TAKEN_OCTETS:
        # 7,919 is a prime: users come in an order that is none of the groups'.
        names = (name_of(number * 7919 % users) for number in itertools.islice(numbers, SESSIONS_AT_ONCE))
        lines = (f"{name}\tl 192.0.2.7 TLSv1.3 USER 20 614400 83 0" for name in names)
        pieces.append(f"\n={NOW}\n" + "\n".join(lines))
        octets += len(pieces[-1])
    server.set(keys.USER_NOTES, "".join(pieces))
    server.close()
    print(SESSIONS_AT_ONCE * len(pieces))


async def with_store(what: str, count: int, url: str) -> None:
    """Do what is done with a store."""
    for module in (client, topology):
        vars(module)["ANSWER_SECONDS"] = 60.0  # the store may run under callgrind
    repository = StateRepository(url)
    await repository.prepare()
    if what == "take":
        await repository.take_user_notes("1")
    elif what != "look":
        await exchange(repository, count, is_noting=what == "noted_exchanges")
    await repository.close()


def main(what: str, count: str, url: str = "") -> None:
    """Do it."""
    if what == "fill":
        fill(url, int(count))
    elif url:
        asyncio.run(with_store(what, int(count), url))
    else:
        play_sessions(int(count), is_noting=what == "noted")


if __name__ == "__main__":
    main(*sys.argv[1:])
