"""A process that moves mail is killed at any point: every message is there exactly once afterwards."""

import asyncio
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from support.pop3_process import PASSWORD, SECONDS, Pop3Client, Pop3Process, wait_until
from support.redis_server import RedisServer
from support.scripted_pop3 import ScriptedServer, serving

MESSAGES = 150
KILLS = 4
USER = "alice"


def message(number: int) -> tuple[bytes, bytes]:
    content = b"Subject: %d\r\n\r\n" % number + (number % 7) * 500 * b"0123456789abcdef\r\n"
    return b"old-%d" % number, content


MAIL = [message(number) for number in range(MESSAGES)]
STORED = {content.replace(b"\r\n", b"\n") for _, content in MAIL}


@contextmanager
def served_in_a_thread(server: ScriptedServer) -> Iterator[ScriptedServer]:
    """Serve beside the test's own thread, which waits for programs."""
    is_up, loop = threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with serving(server):
            is_up.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    is_up.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        if sessions := asyncio.all_tasks(loop):  # of killed clients
            loop.run_until_complete(asyncio.wait(sessions, timeout=SECONDS))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture
def old() -> Iterator[ScriptedServer]:
    with served_in_a_thread(ScriptedServer({USER: MAIL})) as server:
        yield server


def fetched(old: ScriptedServer) -> int:
    return sum(line.startswith(b"RETR") for line in old.asked)


def has_fetched(old: ScriptedServer, enough: int) -> bool:
    return fetched(old) >= enough


def ask_to_log_in(service: Pop3Process) -> Pop3Client:
    """Begin a login, and do not wait for its end."""
    client = service.connect()
    client.send(f"USER {USER}\r\nPASS {PASSWORD}\r\n".encode())
    return client


def logs_in(service: Pop3Process) -> bool:
    with service.connect() as client:
        client.ask(f"USER {USER}")
        reply = client.ask(f"PASS {PASSWORD}")
        # A session whose client did not wait for the move may still be about to end.
        assert reply.startswith((b"+OK", b"-ERR [SYS/TEMP]", b"-ERR [IN-USE]")), reply
        return reply.startswith(b"+OK") and client.quit().startswith(b"+OK")


def expect_whole_messages_once(mail: Path) -> None:
    """See that whatever is in the maildir is a whole message, and there once."""
    files = [file for file in (mail / USER).glob("[nc]*/*") if not file.name.startswith(".")]
    contents = [file.read_bytes() for file in files]
    assert set(contents) <= STORED
    assert len(contents) == len({content.partition(b"\n")[0] for content in contents})


def test_killed_at_any_point_it_has_every_message_once_in_the_end(
    old: ScriptedServer, tmp_path: Path
) -> None:
    chance = random.Random(int(os.environ.get("PEEP_FAULT_SEED", "7")))
    with RedisServer() as redis:
        for kill in range(1, KILLS + 1):
            # However late this process sees how far it is: the old server keeps this one back.
            last = kill * (MESSAGES - 1) // KILLS
            old.before[b"RETR %d" % last] = asyncio.Event()
            enough = chance.randrange(fetched(old) + 1, last + 1)
            with Pop3Process(redis.url, tmp_path, PEEP_MOVE_FROM=f"pop3://127.0.0.1:{old.port}") as service:
                with ask_to_log_in(service):
                    wait_until(partial(has_fetched, old, enough), "messages are fetched")
                    service.kill()
                expect_whole_messages_once(tmp_path / "mail")
                service.end_lease_of_the_dead()
            del old.before[b"RETR %d" % last]
        with Pop3Process(redis.url, tmp_path, PEEP_MOVE_FROM=f"pop3://127.0.0.1:{old.port}") as service:
            wait_until(lambda: logs_in(service), "all mail is here")
            with service.log_in(USER) as client:
                listed = [line.split()[1] for line in client.ask_lines("UIDL")]
                assert listed == [unique_id for unique_id, _ in MAIL]
                for number, (_, content) in enumerate(MAIL, 1):
                    assert b"".join(client.ask_lines(f"RETR {number}")) == content
            expect_whole_messages_once(tmp_path / "mail")
            assert len(service.files(USER)) == MESSAGES
            assert PASSWORD not in service.log.read_text()
    assert list((tmp_path / "mail" / USER / "tmp").iterdir()) == []
    # What was on its way when a process was killed came once more, and nothing else.
    assert fetched(old) <= MESSAGES + KILLS
    assert not any(line.startswith(b"DELE") for line in old.asked)


def test_two_processes_share_the_work_and_no_message(old: ScriptedServer, tmp_path: Path) -> None:
    with RedisServer() as redis:
        source = f"pop3://127.0.0.1:{old.port}"
        with Pop3Process(redis.url, tmp_path, workers=2, PEEP_MOVE_FROM=source) as service:
            with ask_to_log_in(service), ask_to_log_in(service), ask_to_log_in(service):
                wait_until(lambda: len(service.files(USER)) == MESSAGES, "all mail is here")
            wait_until(lambda: logs_in(service), "the user can log in")
            expect_whole_messages_once(service.mail)
    assert fetched(old) == MESSAGES
