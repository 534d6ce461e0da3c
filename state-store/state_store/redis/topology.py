"""The server that takes our writes: the one in the URL, the sentinels' master, or our shard of a Cluster."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import redis
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.driver_info import DriverInfo
from redis.exceptions import ClusterDownError, MovedError, ReadOnlyError, RedisError

from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.redis import keys
from state_store.redis.address import TLS_OPTIONS, Endpoint, Kind, RedisAddress, parse
from state_store.redis.faults import ANSWER_SECONDS, NO_REPLICAS, code_of, describe, translate
from state_store.redis.server_info import info_fields

GUIDE_SHARE = 0.6
"""The part of the time that a sentinel or node may take to name the server: one that is silent must not hide
the answers of others."""

MAX_GUIDES = 12
"""How many nodes of a Cluster are asked: enough when some are down, few for a Cluster of a thousand."""

OUR_SLOT = key_slot(b"peep")

DRIVER = DriverInfo(lib_version=redis.__version__)
"""What CLIENT LIST calls us. Without it redis-py reads the metadata of its package for each connection."""

# A slot that is being moved is not followed (ASK): our scripts would see only the keys that have already
# arrived, and open a maildrop whose lock has not. They are refused until all keys are there.


def is_elsewhere(answer: Exception) -> bool:
    """Return whether a server refused because of a failover: another one may carry the command out."""
    # NOREPLICAS: a master that was replaced and does not know it yet has lost its replicas.
    return isinstance(answer, MovedError | ReadOnlyError | ClusterDownError) or code_of(answer) == NO_REPLICAS


class Topology(ABC):
    """Finds the server that takes our writes, and connects to it."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._arguments: dict[str, Any] = dict(parse_url(address.server_url))
        self._connection_class = self._arguments.pop("connection_class", Connection)

    @abstractmethod
    async def open(self, seconds: float) -> AbstractConnection:
        """Return a new connection to it; the caller gives up after `seconds`.

        Raises `StateError`, `RedisError` or `OSError`.
        """

    def learn(self, refusal: Exception) -> None:  # noqa: B027 - only a Cluster's refusals name one
        """Take note of the server that a refusal names."""

    async def _connect(self, **arguments: Any) -> AbstractConnection:
        # The caller limits the time of everything that belongs together, and nothing else does.
        connection: AbstractConnection = self._connection_class(
            **arguments,
            decode_responses=True,
            encoding_errors="surrogateescape",  # samples of the history are no text
            socket_timeout=None,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            driver_info=DRIVER,
        )
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _connect_to(self, endpoint: Endpoint) -> AbstractConnection:
        return await self._connect(**{**self._arguments, "host": endpoint[0], "port": endpoint[1]})


class OneServer(Topology):
    """The server that the URL names."""

    async def open(self, seconds: float) -> AbstractConnection:
        """See `Topology`."""
        return await self._connect(**self._arguments)


class GuidedTopology(Topology):
    """A server that others, the guides, name: all are asked at once, and the first useful answer is taken."""

    title: ClassVar[str]
    """What a guide is called."""

    @abstractmethod
    async def _ask(self, guide: Endpoint) -> Endpoint:
        """Return the server that a guide names."""

    @abstractmethod
    async def _check(self, connection: AbstractConnection) -> None:
        """Raise `StoreUnavailable` or `RedisError` if this server does not take our writes."""

    async def _open_checked(self, endpoint: Endpoint) -> AbstractConnection:
        connection = await self._connect_to(endpoint)
        try:
            await self._check(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _open_first(self, guides: Sequence[Endpoint], seconds: float) -> AbstractConnection:
        openings: dict[Endpoint, asyncio.Task[AbstractConnection]] = {}
        failures: dict[Endpoint, Exception] = {}

        async def follow(guide: Endpoint) -> AbstractConnection:
            try:
                async with asyncio.timeout(seconds * GUIDE_SHARE):
                    endpoint = await self._ask(guide)
            except (RedisError, OSError, StoreUnavailable) as error:
                failures[guide] = error
                raise
            if endpoint not in openings:
                openings[endpoint] = asyncio.ensure_future(self._open_checked(endpoint))
            return await asyncio.shield(openings[endpoint])

        following = [asyncio.create_task(follow(guide)) for guide in guides]
        chosen: AbstractConnection | None = None
        try:
            for done in asyncio.as_completed(following):
                try:
                    chosen = await done
                except (RedisError, OSError, StoreUnavailable):
                    continue
                return chosen
            raise self._most_telling(guides, openings, failures)
        finally:
            for task in [*following, *openings.values()]:
                task.cancel()
            results = await asyncio.gather(*following, *openings.values(), return_exceptions=True)
            for connection in results:
                if isinstance(connection, AbstractConnection) and connection is not chosen:
                    await connection.disconnect(nowait=True)

    def _most_telling(
        self,
        guides: Sequence[Endpoint],
        openings: Mapping[Endpoint, "asyncio.Task[AbstractConnection]"],
        failures: Mapping[Endpoint, Exception],
    ) -> Exception:
        # In a fixed order, so that the same outage always has the same reason.
        for endpoint in sorted(openings):
            error = openings[endpoint].exception()
            assert isinstance(error, Exception)
            return _prefixed("redis", endpoint, error)
        for guide in guides:
            if isinstance(failures[guide], StoreUnavailable) or code_of(failures[guide]):
                return _prefixed(self.title, guide, failures[guide])
        shown = ", ".join(f"{host}:{port}" for host, port in guides)
        first = failures[guides[0]]
        why = "too slow" if isinstance(first, TimeoutError) else describe(first)
        return StoreUnavailable(f"no {self.title} answers at {shown}: {why}")


class MasterOfSentinels(GuidedTopology):
    """The server that a sentinel calls the master, and that says so itself."""

    title = "sentinel"

    async def open(self, seconds: float) -> AbstractConnection:
        """See `Topology`."""
        return await self._open_first(self._address.endpoints, seconds)

    async def _ask(self, sentinel: Endpoint) -> Endpoint:
        name, (host, port) = self._address.master_name, sentinel
        tls = {option: value for option, value in self._arguments.items() if option in TLS_OPTIONS}
        connection = await self._connect(**tls, **self._address.sentinel_options, host=host, port=port)
        try:
            answer = await _ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        finally:
            await connection.disconnect(nowait=True)
        if answer is None:
            raise StoreUnavailable(f"knows no master named {name}: see the end of PEEP_REDIS_URL")
        return str(answer[0]), int(answer[1])

    async def _check(self, connection: AbstractConnection) -> None:
        # A sentinel that was cut off may name a former master.
        if info_fields(str(await _ask(connection, "INFO", "replication"))).get("role") != "master":
            raise StoreUnavailable("the sentinels' master is a replica: a failover is under way")


class ShardOfCluster(GuidedTopology):
    """The node of a Cluster that serves our keys, which all have the same slot."""

    title = "node"

    def __init__(self, address: RedisAddress) -> None:
        super().__init__(address)
        self._nodes: dict[Endpoint, None] = dict.fromkeys(address.endpoints)
        self._redirected_to: Endpoint | None = None

    async def open(self, seconds: float) -> AbstractConnection:
        """See `Topology`."""
        endpoint, self._redirected_to = self._redirected_to, None
        if endpoint is not None:
            with suppress(RedisError, OSError):  # gone since: ask the nodes
                return await self._open_checked(endpoint)
        return await self._open_first(list(self._nodes)[:MAX_GUIDES], seconds)

    def learn(self, refusal: Exception) -> None:
        """See `Topology`."""
        if isinstance(refusal, MovedError) and refusal.host:
            self._redirected_to = (str(refusal.host), int(refusal.port))

    async def _ask(self, node: Endpoint) -> Endpoint:
        connection = await self._connect_to(node)
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

    async def _check(self, connection: AbstractConnection) -> None:
        # A node that is cut off from the others names itself, and then refuses: CLUSTERDOWN, MOVED.
        await _ask(connection, "GET", keys.LAYOUT)


TOPOLOGIES: dict[Kind, type[Topology]] = {
    Kind.SINGLE: OneServer,
    Kind.SENTINEL: MasterOfSentinels,
    Kind.CLUSTER: ShardOfCluster,
}


def topology_of(url: str) -> Topology:
    """Return the topology that a URL describes. Raises `StoreUnusable` if the URL is wrong."""
    try:
        address = parse(url)
    except ValueError as error:
        raise StoreUnusable(f"PEEP_REDIS_URL: {error}") from None
    return TOPOLOGIES[address.kind](address)


async def _ask(connection: AbstractConnection, *words: str) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


def _prefixed(title: str, endpoint: Endpoint, error: Exception) -> Exception:
    ours = translate(error)
    return type(ours)(f"{title} {endpoint[0]}:{endpoint[1]}: {ours}")
