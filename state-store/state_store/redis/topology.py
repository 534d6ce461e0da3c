"""The server that takes our writes: the one in the URL, the sentinels' master, or our shard of a Cluster."""

import asyncio
from binascii import crc_hqx
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.redis import keys
from state_store.redis.address import Endpoint, Kind, RedisAddress, parse
from state_store.redis.faults import NO_REPLICAS, RedisError, code_of, describe, translate
from state_store.redis.stream import RedisStream

GUIDE_SHARE = 0.6
"""The part of the time that a sentinel or node may take to name the server: one that is silent must not hide
the answers of others."""

MAX_GUIDES = 12
"""How many nodes of a Cluster are asked: enough when some are down, few for a Cluster of a thousand."""

OUR_SLOT = crc_hqx(b"peep", 0) % 16_384
"""The slot of our keys, by the CRC16 of their hash tag."""

ELSEWHERE = {"MOVED", "READONLY", "CLUSTERDOWN", "MASTERDOWN", NO_REPLICAS}
"""Codes of refusals after a failover: another server carries the command out. NOREPLICAS comes from a master
that was replaced and does not know it yet: it has lost its replicas."""

# A slot that is being moved is not followed (ASK): our scripts would see only the keys that have already
# arrived, and open a maildrop whose lock has not. They are refused until all keys are there.


def is_elsewhere(answer: Exception) -> bool:
    """Return whether a server has refused a command that another may carry out."""
    return code_of(answer) in ELSEWHERE


class Topology(Protocol):
    """Finds the server that takes our writes."""

    async def open(self, seconds: float) -> RedisStream:
        """Return a new connection to it; the caller gives up after `seconds`.

        Raises `StateError`, `RedisError` or `OSError`.
        """

    def learn(self, refusal: Exception) -> None:
        """Take note of the server that a refusal names."""


class OneServer:
    """The server that the URL names."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address

    async def open(self, seconds: float) -> RedisStream:
        """See `Topology`."""
        return await RedisStream.open(self._address, self._address.endpoints[0])

    def learn(self, refusal: Exception) -> None:
        """See `Topology`: there is no other server."""


class MasterOfSentinels:
    """The server that a sentinel calls the master, and that says so itself."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address

    async def open(self, seconds: float) -> RedisStream:
        """See `Topology`."""
        return await _open_first("sentinel", self._address.endpoints, self._ask, self._open_master, seconds)

    def learn(self, refusal: Exception) -> None:
        """See `Topology`: the sentinels are asked again each time."""

    async def _ask(self, sentinel: Endpoint) -> Endpoint:
        name = self._address.master_name
        connection = await RedisStream.open(self._address, sentinel, self._address.sentinel_login)
        try:
            answer = await connection.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        finally:
            connection.close()
        if answer is None:
            raise StoreUnavailable(f"knows no master named {name}: see the end of PEEP_REDIS_URL")
        return str(answer[0]), int(answer[1])

    async def _open_master(self, place: Endpoint) -> RedisStream:
        connection = await RedisStream.open(self._address, place)
        try:
            # A sentinel that was cut off may name a former master.
            if "role:master" not in str(await connection.ask("INFO", "replication")).split():
                raise StoreUnavailable("the sentinels' master is a replica: a failover is under way")
        except BaseException:
            connection.close()
            raise
        return connection


class ShardOfCluster:
    """The node of a Cluster that serves our keys, which all have the same slot."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._nodes: dict[Endpoint, None] = dict.fromkeys(address.endpoints)
        self._told: Endpoint | None = None

    async def open(self, seconds: float) -> RedisStream:
        """See `Topology`."""
        told, self._told = self._told, None
        if told is not None:
            try:
                return await self._open_node(told)
            except (RedisError, OSError):
                pass  # gone since: ask the nodes
        return await _open_first("node", list(self._nodes)[:MAX_GUIDES], self._ask, self._open_node, seconds)

    def learn(self, refusal: Exception) -> None:
        """See `Topology`."""
        if code_of(refusal) == "MOVED":
            host, _, port = str(refusal).split(" ")[-1].rpartition(":")
            if host:  # a node that does not know its own host name leaves it out
                self._told = (host, int(port))

    async def _ask(self, node: Endpoint) -> Endpoint:
        connection = await RedisStream.open(self._address, node)
        try:
            ranges = await connection.ask("CLUSTER", "SLOTS")
        finally:
            connection.close()
        for first, last, *nodes in ranges:
            # A node that does not know its own host name leaves it out.
            endpoints = [(str(host or node[0]), int(port)) for host, port, *_ in nodes]
            if first <= OUR_SLOT <= last:
                # The nodes of our shard are asked next time too, right after those of the URL.
                known = [*self._address.endpoints, *endpoints, *self._nodes]
                self._nodes = dict.fromkeys(known[: 2 * MAX_GUIDES])
                return endpoints[0]
        raise StoreUnavailable(f"knows no node for slot {OUR_SLOT}, which holds our keys: see CLUSTER INFO")

    async def _open_node(self, place: Endpoint) -> RedisStream:
        connection = await RedisStream.open(self._address, place)
        try:
            # A node that is cut off from the others names itself, and then refuses: CLUSTERDOWN, MOVED.
            await connection.ask("GET", keys.LAYOUT)
        except BaseException:
            connection.close()
            raise
        return connection


def topology_of(url: str) -> Topology:
    """Return the topology that a URL describes. Raises `StoreUnusable` if the URL is wrong."""
    try:
        address = parse(url)
    except ValueError as error:
        raise StoreUnusable(f"PEEP_REDIS_URL: {error}") from None
    ways: dict[Kind, type[OneServer | MasterOfSentinels | ShardOfCluster]] = {
        Kind.SINGLE: OneServer,
        Kind.SENTINEL: MasterOfSentinels,
        Kind.CLUSTER: ShardOfCluster,
    }
    return ways[address.kind](address)


async def _open_first(
    title: str,
    guides: Iterable[Endpoint],
    ask: Callable[[Endpoint], Awaitable[Endpoint]],
    open_one: Callable[[Endpoint], Awaitable[RedisStream]],
    seconds: float,
) -> RedisStream:
    """Ask all guides for the server at once, and return the first connection that results."""
    guides = list(guides)
    openings: dict[Endpoint, asyncio.Task[RedisStream]] = {}
    failures: dict[Endpoint, Exception] = {}

    async def follow(guide: Endpoint) -> RedisStream:
        try:
            async with asyncio.timeout(seconds * GUIDE_SHARE):
                place = await ask(guide)
        except (RedisError, OSError, StoreUnavailable) as error:
            failures[guide] = error
            raise
        if place not in openings:
            openings[place] = asyncio.ensure_future(open_one(place))
        return await asyncio.shield(openings[place])

    following = [asyncio.create_task(follow(guide)) for guide in guides]
    chosen: RedisStream | None = None
    try:
        for done in asyncio.as_completed(following):
            try:
                chosen = await done
            except (RedisError, OSError, StoreUnavailable):
                continue
            return chosen
        raise _most_telling(title, guides, openings, failures)
    finally:
        for task in [*following, *openings.values()]:
            task.cancel()
        results = await asyncio.gather(*following, *openings.values(), return_exceptions=True)
        for connection in results:
            if isinstance(connection, RedisStream) and connection is not chosen:
                connection.close()


def _most_telling(
    title: str,
    guides: list[Endpoint],
    openings: dict[Endpoint, "asyncio.Task[RedisStream]"],
    failures: dict[Endpoint, Exception],
) -> Exception:
    # In the order of the URL, so that the same outage always has the same reason.
    for place in sorted(openings):
        error = openings[place].exception()
        assert isinstance(error, Exception)
        return _prefixed(f"redis {place[0]}:{place[1]}", error)
    for guide in guides:
        if isinstance(failures[guide], StoreUnavailable) or code_of(failures[guide]):
            return _prefixed(f"{title} {guide[0]}:{guide[1]}", failures[guide])
    shown = ", ".join(f"{host}:{port}" for host, port in guides)
    first = failures[guides[0]]
    why = "too slow" if isinstance(first, TimeoutError) else describe(first)
    return StoreUnavailable(f"no {title} answers at {shown}: {why}")


def _prefixed(where: str, error: Exception) -> Exception:
    ours = translate(error)
    return type(ours)(f"{where}: {ours}")
