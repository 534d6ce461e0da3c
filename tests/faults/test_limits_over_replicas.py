"""The limit `c=` over two services of two workers each: exact in a burst, obeyed by all when it changes."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.pop3_process import Pop3Process, wait_until
from support.redis_server import RedisServer

LIMIT = 100
CLIENTS = 1000
BURST_SECONDS = 30.0
"""Far above what the burst takes on a machine of two busy cores, and far below a hang."""

AT_ONCE_SECONDS = 1.0
"""What one of several takes at the most: other work of the machine makes one later, and none sooner."""

GREETED, REFUSED = "greeted", "refused"


@dataclass
class Burst:
    """What became of clients that all came at once, and the connections of those who were let in."""

    outcomes: Counter[str]
    refusals: set[bytes]
    admitted: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    seconds: float


async def burst(addresses: list[tuple[str, int]], clients: int) -> Burst:
    """Connect `clients` at once, dealt out over `addresses`; those who are refused are closed."""
    began = time.monotonic()
    result = Burst(Counter(), set(), [], 0)

    async def come(number: int) -> None:
        reader, writer = await asyncio.open_connection(*addresses[number % len(addresses)])
        greeting = await reader.readline()
        if greeting.startswith(b"+OK"):
            result.outcomes[GREETED] += 1
            result.admitted.append((reader, writer))
            return
        result.refusals.add(greeting)
        result.outcomes[REFUSED if await reader.read() == b"" else "something after the refusal"] += 1
        writer.close()
        await writer.wait_closed()

    async with asyncio.timeout(BURST_SECONDS):
        await asyncio.gather(*(come(number) for number in range(clients)))
    result.seconds = time.monotonic() - began
    return result


async def leave(connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    """Say QUIT on every connection and see it closed."""
    for reader, writer in connections:
        writer.write(b"QUIT\r\n")
        assert (await reader.readline()).startswith(b"+OK")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Pop3Process]]:
    """Give two services of two workers over one Redis."""
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
        yield [stack.enter_context(Pop3Process(server.url, folder, workers=2)) for folder in folders]


@pytest.fixture
def services(replicas: list[Pop3Process]) -> Iterator[list[Pop3Process]]:
    """Give the two services with a limit of 100 and nobody connected."""
    replicas[0].set_max_connections(LIMIT)
    wait_until(lambda: replicas[0].counters().current_connections == 0, "nobody is connected")
    yield replicas
    wait_until(lambda: replicas[0].counters().current_connections == 0, "everybody has gone")


async def test_of_a_thousand_that_come_at_once_exactly_as_many_as_the_limit_are_greeted(
    services: list[Pop3Process],
) -> None:
    before = await asyncio.to_thread(services[0].counters)
    came = await burst([service.address for service in services], CLIENTS)
    print(f"{CLIENTS} clients in {came.seconds:.2f} s")
    assert came.outcomes == {GREETED: LIMIT, REFUSED: CLIENTS - LIMIT}
    assert came.refusals == {b"-ERR [SYS/TEMP] too many connections (limit 100)\r\n"}
    # Who was refused has never been a connection (P8).
    await asyncio.to_thread(
        wait_until,
        lambda: (
            services[0].counters().historical_connections == before.historical_connections + LIMIT
            and services[0].counters().current_connections == LIMIT
        ),
        "the counters agree",
    )
    await leave(came.admitted)


async def test_lowering_the_limit_closes_nobody_and_raising_it_lets_the_next_one_in_at_once(
    services: list[Pop3Process],
) -> None:
    addresses = [service.address for service in services]
    came = await burst(addresses, LIMIT)
    assert came.outcomes == {GREETED: LIMIT}
    await asyncio.to_thread(services[0].set_max_connections, LIMIT // 2)
    refused = await burst(addresses, 4)
    assert refused.outcomes == {REFUSED: 4}
    assert refused.refusals == {b"-ERR [SYS/TEMP] too many connections (limit 50)\r\n"}
    for reader, writer in came.admitted:
        writer.write(b"USER somebody\r\n")
        assert (await reader.readline()).startswith(b"+OK")
    seconds = []
    for more in range(1, 4):
        # One place more than are taken: whichever worker it comes to, one is let in, and one only.
        await asyncio.to_thread(services[0].set_max_connections, LIMIT + more)
        next_one = await burst(addresses, 1)
        assert next_one.outcomes == {GREETED: 1}
        seconds.append(next_one.seconds)
        came.admitted += next_one.admitted
        assert (await burst(addresses, 4)).outcomes == {REFUSED: 4}
    assert min(seconds) < AT_ONCE_SECONDS
    await leave(came.admitted)


async def test_place_of_who_leaves_is_taken_by_the_next_at_whichever_replica(
    services: list[Pop3Process],
) -> None:
    addresses = [service.address for service in services]
    came = await burst(addresses, LIMIT)
    assert came.outcomes == {GREETED: LIMIT}

    async def connections_are(number: int) -> None:
        def holds() -> bool:
            return services[0].counters().current_connections == number

        await asyncio.to_thread(wait_until, holds, f"{number} connections are open")

    seconds = []
    for turn in range(10):
        await connections_are(LIMIT)
        await leave([came.admitted.pop(0)])
        await connections_are(LIMIT - 1)
        next_one = await burst([addresses[turn % 2]], 1)
        assert next_one.outcomes == {GREETED: 1}
        seconds.append(next_one.seconds)
        came.admitted += next_one.admitted
    assert min(seconds) < AT_ONCE_SECONDS
    await leave(came.admitted)


def test_replica_that_starts_later_obeys_the_limit_from_its_first_client_on(
    services: list[Pop3Process], tmp_path: Path
) -> None:
    services[0].set_max_connections(1)
    with services[0].connect() as only:
        assert only.greeting.startswith(b"+OK")
        with Pop3Process(services[0]._redis_url, tmp_path) as late, late.connect() as client:
            assert client.greeting == b"-ERR [SYS/TEMP] too many connections (limit 1)\r\n"
            assert client.rest() == b""
        assert only.ask("USER somebody").startswith(b"+OK")
