"""What is kept of users, in instructions a session: of the POP3 process, and of Valkey.

The session is that of a mail program that finds nothing new. Its notes cost something in the exchange, and
when they are added to the records, whether few users come again and again or many come once in minutes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from state_store.redis import keys
from support.callgrind import TESTS, instructions_of, instructions_of_valkey
from support.redis_server import RedisServer

LOAD = Path(__file__).with_name("records_load.py")
YARDSTICK = Path(__file__).with_name("engine_load.py")

SESSIONS = 640
EXCHANGES = 20
SESSIONS_OF_AN_EXCHANGE = 16
USERS = (200, 10_000)

LARGEST_SHARE_OF_VALKEY = 0.03
"""Measured: 2.3 % and 2.6 %."""
LARGEST_SHARE_OF_PROCESS = 0.02
"""Measured: 1.4 % and 1.87 %."""
SESSION_YARDSTICKS = 18.5
"""What the process takes for the whole session, some 920,000 instructions."""


def do(url: str, what: str, count: int) -> str:
    """Do a part of the load with a store, not counted; return what it prints."""
    done = subprocess.run(
        [sys.executable, LOAD, what, str(count), url],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def exchanged(what: str, count: int) -> int:
    """Return Valkey's instructions for so many exchanges."""
    return instructions_of_valkey(lambda url: do(url, what, count))


def filled_valkey(users: int, what: str) -> tuple[int, int]:
    """Return Valkey's instructions to be filled and do this, and how many notes it was given."""
    notes = []

    def work(url: str) -> None:
        notes.append(int(do(url, "fill", users)))
        do(url, what, 1)

    return instructions_of_valkey(work), notes[0]


@pytest.mark.timeout(300)
def test_records_take_no_more_of_valkey_than_they_should() -> None:
    few, many = exchanged("exchanges", EXCHANGES), exchanged("exchanges", 2 * EXCHANGES)
    noted = exchanged("noted_exchanges", 2 * EXCHANGES)
    session = (many - few) / (EXCHANGES * SESSIONS_OF_AN_EXCHANGE)
    noting = (noted - many) / (2 * EXCHANGES * SESSIONS_OF_AN_EXCHANGE)
    print(f"{session:.0f} instructions of Valkey a session, {noting:.0f} for its notes")
    for users in USERS:
        (filled, notes), (taken, _) = (filled_valkey(users, what) for what in ("look", "take"))
        taking = (taken - filled) / notes
        share = (noting + taking) / session
        print(f"{taking:.0f} to take them, of {users} users: {share:.2%} in all")
        assert share < LARGEST_SHARE_OF_VALKEY


def taken(server: RedisServer, users: int) -> float:
    """Return the process's instructions to take a note into the records of so many users."""
    server.flush()
    notes = int(do(server.url, "fill", users))
    looking, taking = (instructions_of(LOAD, what, 1, server.url) for what in ("look", "take"))
    with server.client() as client:
        assert not client.exists(keys.USER_NOTES, keys.USER_NOTES_TAKEN)
    return (taking - looking) / notes


@pytest.mark.timeout(900)
def test_records_take_no_more_of_the_process_than_they_should(redis_server: RedisServer) -> None:
    yardstick = (
        instructions_of(YARDSTICK, "yardstick", 600) - instructions_of(YARDSTICK, "yardstick", 300)
    ) / 300
    noting = (
        instructions_of(LOAD, "noted", SESSIONS) - instructions_of(LOAD, "sessions", SESSIONS)
    ) / SESSIONS
    print(f"{noting:.0f} instructions to note a session, of {yardstick:.0f} of a yardstick")
    for users in USERS:
        taking = taken(redis_server, users)
        share = (noting + taking) / (SESSION_YARDSTICKS * yardstick)
        print(f"{taking:.0f} to take it, of {users} users: {share:.2%} in all")
        assert share < LARGEST_SHARE_OF_PROCESS
