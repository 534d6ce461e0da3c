"""P17: our extension commands, which follow the format of PEEP section 2."""

import asyncio
import re
import time

import pytest

from service_runtime import VERSION
from state_store.memory_repository import MemoryRepository
from state_store.records import Exchange, NotificationKind, SessionRow
from support.peep_gateway_server import converse, instance, passwords, replies_to, running_gateway, with_users

CONNECTED_AT = time.time() - 100


async def with_sessions(repository: MemoryRepository, *sessions: SessionRow) -> MemoryRepository:
    await repository.register_instance(instance("pop3"))
    await repository.exchange(Exchange("pop3", 0, session_rows=list(sessions)))
    return repository


def session(session_id: str, username: str | None, address: str = "192.0.2.1") -> SessionRow:
    return SessionRow(session_id, "pop3", username, address, CONNECTED_AT)


async def test_sessions_are_listed_with_user_address_and_seconds() -> None:
    repository = await with_sessions(
        MemoryRepository(), session("pop3-1", "alice"), session("pop3-2", None, "2001:db8::1")
    )
    async with running_gateway(repository) as gateway, gateway.client(logged_in=True) as client:
        reply = (await client.ask(b"s?", 3)).decode()
    assert re.fullmatch(r"\+2\r\npop3-1 alice 192\.0\.2\.1 \d+\r\npop3-2 - 2001:db8::1 \d+\r\n", reply)


async def test_without_sessions_the_list_is_empty() -> None:
    await converse("C: s?\nS: +0")


async def test_session_of_a_clock_that_is_ahead_has_been_open_for_no_time() -> None:
    ahead = SessionRow("pop3-1", "pop3", "alice", "192.0.2.1", time.time() + 1000)
    await converse(
        "C: s?\nS: +1\nS: pop3-1 alice 192.0.2.1 0", await with_sessions(MemoryRepository(), ahead)
    )


async def test_session_is_closed_and_then_unknown() -> None:
    repository = await with_sessions(MemoryRepository(), session("pop3-1", "alice"))
    listening = asyncio.Event()

    async def obey() -> None:
        async for event in repository.notifications():
            listening.set()
            if event.kind is NotificationKind.SESSION_TO_CLOSE:
                await repository.exchange(Exchange("pop3", 0, closed_sessions=[event.identifier]))

    pop3 = asyncio.create_task(obey())
    await listening.wait()
    await converse("C: k- pop3-1\nS: +\nC: s?\nS: +0\nC: k- pop3-1\nS: -4", repository)
    pop3.cancel()


async def test_unknown_session_cannot_be_closed() -> None:
    await converse("C: k- nobody-1\nS: -4")


async def test_changed_password_is_the_only_one_that_fits() -> None:
    repository = MemoryRepository()
    async with running_gateway(repository) as gateway, gateway.client(logged_in=True) as client:
        assert await client.ask(b"u+ alice first") == b"+\r\n"
        before = await repository.credential("alice")
        assert await client.ask(b"p= alice second") == b"+\r\n"
    after = await repository.credential("alice")
    assert before is not None
    assert after is not None
    assert before.version != after.version
    assert await passwords().is_right("alice", after, "second")
    assert not await passwords().is_right("alice", after, "first")


async def test_password_of_an_unknown_user_cannot_be_changed() -> None:
    repository = await with_users(MemoryRepository(), "alice")
    await converse("C: p= bob secret\nS: -4", repository)


async def test_version_is_told_in_one_line() -> None:
    await converse(f"C: v?\nS: +{VERSION}")


@pytest.mark.parametrize(
    "line", ["k-", "k- ", "g-", "p=", "p= alice", "p= al/ice secret", "p= .alice secret", "k-  x"]
)
async def test_missing_and_malformed_arguments_are_wrong_syntax(line: str) -> None:
    assert await replies_to(line.encode() + b"\r\n") == b"-1\r\n"


@pytest.mark.parametrize("line", ["s?", "k- pop3-1", "p= alice secret", "g?", "g- 0123456789ab", "v?"])
async def test_extensions_are_unknown_before_the_login(line: str) -> None:
    assert await replies_to(line.encode() + b"\r\n", logged_in=False) == b"-0\r\n"
