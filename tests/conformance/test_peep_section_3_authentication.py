"""PEEP section 3: `a`, `cap?` and `q` (R29 to R42)."""

import pytest

from peep_gateway.protocol.commands import capabilities
from support.actors import OPERATOR
from support.peep_gateway_server import LOGIN, Gateway, passwords


async def test_right_name_and_password_authenticate(gateway: Gateway) -> None:
    """R30, R31."""
    await gateway.converse(f"C: c?\nS: -0\nC: {LOGIN.decode()}\nS: +\nC: c?\nS: +1000", logged_in=False)


@pytest.mark.parametrize("words", ["root not-the-password", "bob root-password", "ROOT root-password", "x y"])
async def test_wrong_name_or_password_is_refused(gateway: Gateway, words: str) -> None:
    """R32: the session goes on and may try again."""
    await gateway.converse(f"C: a {words}\nS: -2\nC: c?\nS: -0\nC: {LOGIN.decode()}\nS: +", logged_in=False)


async def test_users_of_pop3_are_no_administrators(gateway: Gateway) -> None:
    """R33."""
    await gateway.repository.add_user("alice", await passwords().new_credential("secret"), by=OPERATOR)
    await gateway.converse("C: a alice secret\nS: -2", logged_in=False)


async def test_password_ends_at_a_space(gateway: Gateway) -> None:
    """R34: the rest is an exceeding argument."""
    await gateway.converse(f"C: {LOGIN.decode()} and more\nS: +", logged_in=False)


@pytest.mark.parametrize("logged_in", [False, True])
async def test_capabilities_are_listed_in_both_states(gateway: Gateway, logged_in: bool) -> None:
    """R36 to R38, R53, R64, R73, P9."""
    lines = [f"+{len(capabilities())}", *capabilities()]
    await gateway.converse("\nS: ".join(["C: cap?", *lines]), logged_in=logged_in)


@pytest.mark.parametrize("logged_in", [False, True])
async def test_quit_is_answered_and_the_connection_closed(gateway: Gateway, logged_in: bool) -> None:
    """R40, R41, R73."""
    await gateway.converse("C: q\nS: +\nS: <closed>", logged_in=logged_in)


async def test_nothing_after_quit_is_answered_or_done(gateway: Gateway) -> None:
    """R41."""
    assert await gateway.replies_to(b"q\r\nu?\r\nq\r\n" + b"cap?\r\n" * 1000) == b"+\r\n"


@pytest.mark.parametrize("line", [LOGIN.decode(), "a x y", "a", "a  x"])
async def test_authentication_is_unknown_once_authenticated(gateway: Gateway, line: str) -> None:
    """R42, P10; the session stays what it is."""
    await gateway.converse(f"C: {line}\nS: -0\nC: c?\nS: +1000")
