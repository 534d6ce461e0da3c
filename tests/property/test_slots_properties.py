"""How the store deals out slots of the limit `c=`, and places of a client address, whatever is asked."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from state_store.records import AddressCount, Exchange, Instance
from state_store.redis import keys
from state_store.redis.scripting import LARGEST_SPARE
from state_store.repository import StateRepository
from support.redis_server import RedisServer

INSTANCES = ("i1", "i2", "i3")
ADDRESS = "192.0.2.1"


@dataclass(frozen=True)
class Turn:
    """What an instance does before its next exchange, and says in it."""

    instance_id: str
    filled: float
    """The share of its unused slots that connections take."""
    closed: float
    """The share of its open connections that end."""
    waiting: int
    gives_back: bool
    """Whether it claims the slots of its open connections only."""
    limit: int
    """The limit of connections that an operator has set by then."""


shares = st.one_of(st.sampled_from((0.0, 1.0)), st.floats(0, 1))
turns = st.builds(
    Turn,
    st.sampled_from(INSTANCES),
    filled=shares,
    closed=shares,
    waiting=st.integers(0, 150),
    gives_back=st.booleans(),
    limit=st.one_of(st.just(300), st.integers(1, 600), st.just(5000)),
)


def with_three_instances(server: RedisServer, play: Callable[[StateRepository], Awaitable[None]]) -> None:
    async def run() -> None:
        repository = StateRepository(server.url)
        for name in INSTANCES:
            await repository.register_instance(Instance(name, "host.example", 42, "1.2.3", 1000.0))
        try:
            await play(repository)
        finally:
            await repository.close()

    server.flush()
    asyncio.run(run())


@given(st.lists(turns, min_size=1, max_size=15))
def test_slots_go_to_connections_that_wait_and_never_beyond_the_limit(
    shared_redis_server: RedisServer, turns: list[Turn]
) -> None:
    async def play(repository: StateRepository) -> None:
        reserved, opened = Counter[str](), Counter[str]()
        for turn in turns:
            name = turn.instance_id
            await repository._client.command("HSET", keys.SETTINGS, "max_connections", turn.limit)
            opened[name] += int((reserved[name] - opened[name]) * turn.filled)
            opened[name] -= int(opened[name] * turn.closed)
            claimed = opened[name] if turn.gives_back else max(opened[name], reserved[name])
            exchange = Exchange(
                name,
                1,
                open_connections=opened[name],
                claimed_connections=claimed,
                waiting_connections=turn.waiting,
            )
            elsewhere = reserved.total() - reserved[name]
            answer = await repository.exchange(exchange)
            held = reserved[name] = answer.reserved_connections

            wanted = opened[name] + turn.waiting
            needed = max(opened[name], min(wanted, turn.limit - elsewhere))
            to_half_of_the_limit = turn.limit // 2 - elsewhere - needed
            # What it claims it may be filling at this moment.
            assert held >= max(claimed, needed)
            assert held == claimed or elsewhere + held <= turn.limit
            # Far from the limit it gets a share of what is free; near it no slot lies idle.
            if to_half_of_the_limit >= 2 * len(INSTANCES):
                assert held > needed
            if held > max(claimed, needed):
                assert held <= min(needed + LARGEST_SPARE, turn.limit // 2 - elsewhere)
            if to_half_of_the_limit <= 0:
                assert answer.should_shrink == (claimed > needed)
            else:
                assert not answer.should_shrink or claimed > needed + LARGEST_SPARE
            idle_elsewhere = elsewhere > opened.total() - opened[name]
            assert answer.spare_elsewhere == (held < wanted and idle_elsewhere)

    with_three_instances(shared_redis_server, play)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(INSTANCES),
            shares,
            st.integers(0, 9),
            st.one_of(st.just(6), st.integers(1, 9)),
        ),
        min_size=1,
        max_size=15,
    )
)
def test_places_of_an_address_go_to_connections_that_wait_and_never_beyond_its_limit(
    shared_redis_server: RedisServer, turns: list[tuple[str, float, int, int]]
) -> None:
    async def play(repository: StateRepository) -> None:
        opened = Counter[str]()
        for name, closed, waiting, limit in turns:
            opened[name] -= int(opened[name] * closed)
            before = opened[name]
            count = AddressCount(ADDRESS, before, waiting)
            answer = await repository.exchange(Exchange(name, 1, address_limit=limit, addresses=[count]))
            (opened[name],) = answer.addresses
            assert before <= opened[name] <= before + waiting
            assert opened[name] == before or opened.total() <= limit
            assert opened[name] == before + waiting or opened.total() >= limit

    with_three_instances(shared_redis_server, play)
