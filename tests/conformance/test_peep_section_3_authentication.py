"""PEEP section 3: `a`, `cap?` and `q` (R29 to R42, P20)."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from peep_gateway.protocol.commands import capabilities
from state_store.administrators import Role
from state_store.errors import UnknownAdministrator
from support.actors import OPERATOR
from support.peep_gateway_server import LOGIN, Gateway, administrator_hash, passwords


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


@pytest.mark.parametrize("role", [Role.READ, Role.HELPDESK])
async def test_whose_role_is_less_than_all_is_answered_like_a_wrong_password(
    gateway: Gateway, role: Role
) -> None:
    """All sessions share the same functionality (section 3, `a`): P20."""
    password_hash = await passwords().new_hash("bob-password")
    await gateway.repository.add_administrator("bob", role, password_hash, by=OPERATOR)
    await gateway.converse("C: a bob bob-password\nS: -2\nC: a bob bob-password\nS: -2", logged_in=False)
    await gateway.repository.set_administrator_role("bob", Role.ALL, by=OPERATOR)
    await gateway.converse("C: a bob bob-password\nS: +\nC: c?\nS: +1000", logged_in=False)


async def test_a_sign_in_is_over_with_its_administrator_password_or_role(gateway: Gateway) -> None:
    """P20: the next command is answered as a wrong password, not carried out, and the session closed."""
    store = gateway.repository
    await store.add_administrator("carol", Role.ALL, await passwords().new_hash("secret"), by=OPERATOR)
    changes: list[Callable[[], Awaitable[None]]] = [
        lambda: store.set_administrator_password("bob", administrator_hash(), by=OPERATOR),
        lambda: store.set_administrator_role("bob", Role.HELPDESK, by=OPERATOR),
        lambda: store.remove_administrator("bob", by=OPERATOR),
    ]
    for change, command in zip(changes, ("c= 7", "c?", "u+ alice secret"), strict=True):
        await store.add_administrator("bob", Role.ALL, await passwords().new_hash("secret"), by=OPERATOR)
        async with gateway.client() as client, gateway.client() as other:
            for one, name in ((client, b"bob"), (other, b"carol")):
                assert await one.ask(b"a " + name + b" secret") == b"+\r\n"
            await change()
            await client.play(f"C: {command}\nS: -2\nS: <closed>")
            assert await other.ask(b"c?") == b"+1000\r\n"
        with suppress(UnknownAdministrator):
            await store.remove_administrator("bob", by=OPERATOR)
    assert await store.usernames() == []
