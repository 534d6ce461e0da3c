"""P17: our extension commands, which follow the format of PEEP section 2."""

import re
import time

import pytest

from service_runtime import VERSION
from state_store.records import Exchange, SessionRow
from state_store.repository import StateRepository
from support.peep_gateway_server import Gateway, add_users, instance, passwords, pop3_instance

CONNECTED_AT = time.time() - 100


async def add_sessions(repository: StateRepository, *sessions: SessionRow) -> None:
    await repository.register_instance(instance("pop3"))
    await repository.exchange(Exchange("pop3", 0, session_rows=list(sessions)))


def session(session_id: str, username: str | None, address: str = "192.0.2.1") -> SessionRow:
    return SessionRow(session_id, "pop3", username, address, CONNECTED_AT)


async def test_sessions_are_listed_with_user_address_seconds_and_what_they_do(gateway: Gateway) -> None:
    way = ("TLSv1.3", 5120, 3, 1, time.time(), 4000, 100)
    busy = SessionRow("pop3-1", "pop3", "alice", "192.0.2.1", CONNECTED_AT, *way)
    both = busy, session("pop3-2", None, "2001:db8::1")
    await add_sessions(gateway.repository, *both)
    async with gateway.client(logged_in=True) as client:
        reply = (await client.ask(b"s?", 3)).decode()
    first = r"pop3-1 alice 192\.0\.2\.1 \d+ TLSv1\.3 5120 3 1 \d 100/4000\r\n"
    assert re.fullmatch(rf"\+2\r\n{first}pop3-2 - 2001:db8::1 \d+ - 0 0 0 - -\r\n", reply)


async def test_without_sessions_the_list_is_empty(gateway: Gateway) -> None:
    await gateway.converse("C: s?\nS: +0")


async def test_session_of_a_clock_that_is_ahead_has_been_open_for_no_time(gateway: Gateway) -> None:
    ahead = SessionRow("pop3-1", "pop3", "alice", "192.0.2.1", time.time() + 1000)
    await add_sessions(gateway.repository, ahead)
    await gateway.converse("C: s?\nS: +1\nS: pop3-1 alice 192.0.2.1 0 - 0 0 0 - -")


async def test_session_is_closed_and_then_unknown(gateway: Gateway) -> None:
    async with pop3_instance(gateway.repository):
        await gateway.repository.exchange(Exchange("pop3", 0, session_rows=[session("pop3-1", "alice")]))
        await gateway.converse("C: k- pop3-1\nS: +\nC: s?\nS: +0\nC: k- pop3-1\nS: -4")


async def test_unknown_session_cannot_be_closed(gateway: Gateway) -> None:
    await gateway.converse("C: k- nobody-1\nS: -4")


async def test_changed_password_is_the_only_one_that_fits(gateway: Gateway) -> None:
    async with gateway.client(logged_in=True) as client:
        assert await client.ask(b"u+ alice first") == b"+\r\n"
        before = await gateway.repository.credential("alice")
        assert await client.ask(b"p= alice second") == b"+\r\n"
    after = await gateway.repository.credential("alice")
    assert before is not None
    assert after is not None
    assert before.version != after.version
    assert await passwords().is_right("alice", after, "second")
    assert not await passwords().is_right("alice", after, "first")


async def test_password_of_an_unknown_user_cannot_be_changed(gateway: Gateway) -> None:
    await add_users(gateway.repository, "alice")
    await gateway.converse("C: p= bob secret\nS: -4")


async def test_version_is_told_in_one_line(gateway: Gateway) -> None:
    await gateway.converse(f"C: v?\nS: +{VERSION}")


@pytest.mark.parametrize(
    "line", ["k-", "k- ", "g-", "p=", "p= alice", "p= al/ice secret", "p= .alice secret", "k-  x"]
)
async def test_missing_and_malformed_arguments_are_wrong_syntax(gateway: Gateway, line: str) -> None:
    assert await gateway.replies_to(line.encode() + b"\r\n") == b"-1\r\n"


@pytest.mark.parametrize(
    "line", ["s?", "k- pop3-1", "p= alice secret", "g?", "g- 0123456789ab", "mv?", "mc?", "v?"]
)
async def test_extensions_are_unknown_before_the_login(gateway: Gateway, line: str) -> None:
    assert await gateway.replies_to(line.encode() + b"\r\n", logged_in=False) == b"-0\r\n"
