"""PEEP section 3: `a`, `cap?` and `q` (R29 to R42)."""

import pytest

from peep_gateway.protocol.commands import capabilities
from state_store.memory_repository import MemoryRepository
from support.peep_gateway_server import LOGIN, converse, passwords, replies_to


async def test_right_name_and_password_authenticate() -> None:
    """R30, R31."""
    await converse(f"C: c?\nS: -0\nC: {LOGIN.decode()}\nS: +\nC: c?\nS: +1000", logged_in=False)


@pytest.mark.parametrize("words", ["root not-the-password", "bob root-password", "ROOT root-password", "x y"])
async def test_wrong_name_or_password_is_refused(words: str) -> None:
    """R32: the session goes on and may try again."""
    await converse(f"C: a {words}\nS: -2\nC: c?\nS: -0\nC: {LOGIN.decode()}\nS: +", logged_in=False)


async def test_users_of_pop3_are_no_administrators() -> None:
    """R33."""
    repository = MemoryRepository()
    await repository.add_user("alice", await passwords().new_credential("secret"))
    await converse("C: a alice secret\nS: -2", repository, logged_in=False)


async def test_password_ends_at_a_space() -> None:
    """R34: the rest is an exceeding argument."""
    await converse(f"C: {LOGIN.decode()} and more\nS: +", logged_in=False)


@pytest.mark.parametrize("logged_in", [False, True])
async def test_capabilities_are_listed_in_both_states(logged_in: bool) -> None:
    """R36 to R38, R53, R64, R73, P9."""
    lines = [f"+{len(capabilities())}", *capabilities()]
    await converse("\nS: ".join(["C: cap?", *lines]), logged_in=logged_in)


@pytest.mark.parametrize("logged_in", [False, True])
async def test_quit_is_answered_and_the_connection_closed(logged_in: bool) -> None:
    """R40, R41, R73."""
    await converse("C: q\nS: +\nS: <closed>", logged_in=logged_in)


async def test_nothing_after_quit_is_answered_or_done() -> None:
    """R41."""
    assert await replies_to(b"q\r\nu?\r\nq\r\n" + b"cap?\r\n" * 1000) == b"+\r\n"


@pytest.mark.parametrize("line", [LOGIN.decode(), "a x y", "a", "a  x"])
async def test_authentication_is_unknown_once_authenticated(line: str) -> None:
    """R42, P10; the session stays what it is."""
    await converse(f"C: {line}\nS: -0\nC: c?\nS: +1000")
