"""The server that takes our writes: the one in the URL, the sentinels' master, or our shard of a Cluster."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, MovedError, ReadOnlyError, RedisError

from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.redis import keys
from state_store.redis.address import TLS_OPTIONS, Endpoint, Kind, RedisAddress, parse
from state_store.redis.faults import ANSWER_SECONDS, NO_REPLICAS, code_of, describe, translate

GUIDE_SHARE = 0.6
"""The part of the time that a sentinel or node may take to name the server: one that is silent must not hide
the answers of others."""

MAX_GUIDES = 12
"""How many nodes of a Cluster are asked: enough when some are down, few for a Cluster of a thousand."""

OUR_SLOT = key_slot(b"peep")

# A slot that is being moved is not followed (ASK): our scripts would see only the keys that have already
# arrived, and open a maildrop whose lock has not. They are refused until all keys are there.


def is_elsewhere(answer: Exception) -> bool:
    """Return whether a server refused because of a failover: another one may carry the command out."""
    # NOREPLICAS: a master that was replaced and does not know it yet has lost its replicas.
    return isinstance(answer, MovedError | ReadOnlyError | ClusterDownError) or code_of(answer) == NO_REPLICAS


class Topology(Protocol):
    """Finds the server that takes our writes."""

    async def open(self, seconds: float) -> AbstractConnection:
        """Return a new connection to it; the caller gives up after `seconds`.

        Raises `StateError`, `RedisError` or `OSError`.
        """

    def learn(self, refusal: Exception) -> None:
        """Take note of the server that a refusal names."""


class Dialler:
    """Makes connections to the servers of an address, all alike."""

    def __init__(self, address: RedisAddress) -> None:
        self._arguments: dict[str, Any] = dict(parse_url(address.server_url))
        self._connection_class = self._arguments.pop("connection_class", Connection)
        tls = {name: value for name, value in self._arguments.items() if name in TLS_OPTIONS}
        self._sentinel_arguments = tls | address.sentinel_options

    async def connect(self, endpoint: Endpoint | None = None) -> AbstractConnection:
        """Return a connection to a server, by default to the one that the URL names."""
        return await self._connect(self._arguments, endpoint)

    async def connect_to_sentinel(self, endpoint: Endpoint) -> AbstractConnection:
        """Return a connection to a sentinel."""
        return await self._connect(self._sentinel_arguments, endpoint)

    async def _connect(self, arguments: dict[str, Any], endpoint: Endpoint | None) -> AbstractConnection:
        where = {} if endpoint is None else {"host": endpoint[0], "port": endpoint[1]}
        # The caller limits the time of everything that belongs together, and nothing else does.
        connection: AbstractConnection = self._connection_class(
            **{**arguments, **where},
            decode_responses=True,
            socket_timeout=None,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection


class OneServer:
    """The server that the URL names."""

    def __init__(self, address: RedisAddress) -> None:
        self._dialler = Dialler(address)

    async def open(self, seconds: float) -> AbstractConnection:
        """See `Topology`."""
        return await self._dialler.connect()

    def learn(self, refusal: Exception) -> None:
        """See `Topology`: there is no other server."""


class MasterOfSentinels:
    """The server that a sentinel calls the master, and that says so itself."""

    def __init__(self, address: RedisAddress) -> None:
        self._dialler = Dialler(address)
        self._address = address

    async def open(self, seconds: float) -> AbstractConnection:
        """See `Topology`."""
        return await _open_first("sentinel", self._address.endpoints, self._ask, self._open_master, seconds)

    def learn(self, refusal: Exception) -> None:
        """See `Topology`: the sentinels are asked again each time."""

    async def _ask(self, sentinel: Endpoint) -> Endpoint:
        name = self._address.master_name
        connection = await self._dialler.connect_to_sentinel(sentinel)
        try:
            answer = await _ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        finally:
            await connection.disconnect(nowait=True)
        if answer is None:
            raise StoreUnavailable(f"knows no master named {name}: see the end of PEEP_REDIS_URL")
        return str(answer[0]), int(answer[1])

    async def _open_master(self, place: Endpoint) -> AbstractConnection:
        connection = await self._dialler.connect(place)
        try:
            # A sentinel that was cut off may name a former master.
            if "role:master" not in str(await _ask(connection, "INFO", "replication")).split():
                raise StoreUnavailable("the sentinels' master is a replica: a failover is under way")
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection


class ShardOfCluster:
    """The node of a Cluster that serves our keys, which all have the same slot."""

    def __init__(self, address: RedisAddress) -> None:
        self._dialler = Dialler(address)
        self._address = address
        self._nodes: dict[Endpoint, None] = dict.fromkeys(address.endpoints)
        self._told: Endpoint | None = None

    async def open(self, seconds: float) -> AbstractConnection:
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
        if isinstance(refusal, MovedError) and refusal.host:
            self._told = (str(refusal.host), int(refusal.port))

    async def _ask(self, node: Endpoint) -> Endpoint:
        connection = await self._dialler.connect(node)
        try:
            ranges = await _ask(connection, "CLUSTER", "SLOTS")
        finally:
            await connection.disconnect(nowait=True)
        for first, last, *nodes in ranges:
            # A node that does not know its own host name leaves it out.
            endpoints = [(str(host or node[0]), int(port)) for host, port, *_ in nodes]
            if first <= OUR_SLOT <= last:
                # The nodes of our shard are asked next time too, right after those of the URL.
                known = [*self._address.endpoints, *endpoints, *self._nodes]
                self._nodes = dict.fromkeys(known[: 2 * MAX_GUIDES])
                return endpoints[0]
        raise StoreUnavailable(f"knows no node for slot {OUR_SLOT}, which holds our keys: see CLUSTER INFO")

    async def _open_node(self, place: Endpoint) -> AbstractConnection:
        connection = await self._dialler.connect(place)
        try:
            # A node that is cut off from the others names itself, and then refuses: CLUSTERDOWN, MOVED.
            await _ask(connection, "GET", keys.LAYOUT)
        except BaseException:
            await connection.disconnect(nowait=True)
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


async def _ask(connection: AbstractConnection, *words: str) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


async def _open_first(
    title: str,
    guides: Iterable[Endpoint],
    ask: Callable[[Endpoint], Awaitable[Endpoint]],
    open_one: Callable[[Endpoint], Awaitable[AbstractConnection]],
    seconds: float,
) -> AbstractConnection:
    """Ask all guides for the server at once, and return the first connection that results."""
    guides = list(guides)
    openings: dict[Endpoint, asyncio.Task[AbstractConnection]] = {}
    failures: dict[Endpoint, Exception] = {}

    async def follow(guide: Endpoint) -> AbstractConnection:
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
    chosen: AbstractConnection | None = None
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
            if isinstance(connection, AbstractConnection) and connection is not chosen:
                await connection.disconnect(nowait=True)


def _most_telling(
    title: str,
    guides: list[Endpoint],
    openings: dict[Endpoint, "asyncio.Task[AbstractConnection]"],
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
