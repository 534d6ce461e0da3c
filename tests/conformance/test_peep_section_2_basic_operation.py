"""PEEP section 2: connections, the two states, pipelining (R03 to R09)."""

import asyncio

import pytest

from service_runtime.settings import GatewaySettings
from support.peep_gateway_server import LOGIN, Gateway

AUTHENTICATED_ONLY = [
    "u+",
    "u-",
    "u?",
    "c=",
    "c?",
    "m?",
    "m=",
    "t?",
    "t=",
    "rb?",
    "re?",
    "xe?",
    "cc?",
    "cu?",
    "hc?",
    "hu?",
]  # PEEP section 6


def test_service_listens_on_port_2110() -> None:
    """R03."""
    assert GatewaySettings.model_fields["port"].default == 2110


async def test_server_says_nothing_before_it_is_asked(gateway: Gateway) -> None:
    """R04, P2: with a greeting the first octets would not be the reply."""
    assert await gateway.replies_to(b"", logged_in=False) == b""
    assert await gateway.replies_to(b"q\r\n", logged_in=False) == b"+\r\n"


async def test_aborted_connection_leaves_the_next_one_unharmed(gateway: Gateway) -> None:
    """R05."""
    async with gateway.client(logged_in=True) as client:
        client.writer.write(b"u+ half")
        client.writer.transport.abort()
    await gateway.converse("C: u?\nS: +0")


@pytest.mark.parametrize("commencement", AUTHENTICATED_ONLY)
async def test_only_three_commands_are_available_in_authentication(
    gateway: Gateway, commencement: str
) -> None:
    """R06, R22, P10, P5: unknown, with and without arguments, before any other check."""
    await gateway.converse(
        f"""
        C: {commencement}
        S: -0
        C: {commencement} 1 2
        S: -0
        C: {commencement}  x
        S: -0
        """,
        logged_in=False,
    )


async def test_every_connection_starts_in_authentication(gateway: Gateway) -> None:
    """R07."""
    async with gateway.client(logged_in=True) as first, gateway.client() as second:
        await first.play("C: u?\nS: +0")
        await second.play("C: u?\nS: -0")


async def test_several_clients_are_served_at_once(gateway: Gateway) -> None:
    """R08."""

    async def converse_once() -> bytes:
        async with gateway.client(logged_in=True) as client:
            return await client.ask(b"t?")

    assert set(await asyncio.gather(*(converse_once() for _ in range(10)))) == {b"+600\r\n"}


async def test_pipelined_commands_are_answered_in_order(gateway: Gateway) -> None:
    """R09: the login included, whose outcome decides about what follows."""
    stream = LOGIN + b"\r\nu?\r\nc= 7\r\nc?\r\nh?\r\nt?\r\nq\r\n"
    assert await gateway.replies_to(stream, logged_in=False) == b"+\r\n+0\r\n+\r\n+7\r\n-0\r\n+600\r\n+\r\n"
