"""Redis as several processes, sentinels or a Cluster: it serves, fails over, and its faults have names."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from state_store.errors import StoreUnavailable
from state_store.records import Exchange, ExchangeResult
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.certificates import Authority
from support.redis_kinds import (
    MASTER_NAME,
    PASSWORD,
    SENTINEL_ACL_RULE,
    SLOTS,
    USER,
    USER_PASSWORD,
    USERS,
    WITH_PASSWORDS,
    Cluster,
    Sentinel,
    SentinelTrio,
    Server,
    clustered_server,
    free_port,
    relay,
    until,
)
from support.waiting import until as until_true
from support.whole_store import (
    SECONDS,
    closing,
    first_line_of_waiting,
    hear_a_change,
    instance_on,
    numbers,
    repository_on,
    try_everything,
    use_the_whole_store,
)

RECOVERED_SECONDS = 2.0
"""How long after a server's return, or a new master's naming, the store may be away (issue 4, item 5).

The pauses between attempts are counted, and not the time that these take: a machine may be busy.
"""

MOST_FAILURES = 2
"""So many attempts of an instance have pauses of less than that between them."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """Give the context of a server, and the file that its clients trust."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(folder))
    return context, authority.ca_file(folder)


@pytest.fixture(scope="module")
def trio_of_module() -> Iterator[SentinelTrio]:
    with ExitStack() as stack:
        yield SentinelTrio(stack)


@pytest.fixture
def trio(trio_of_module: SentinelTrio) -> SentinelTrio:
    trio_of_module.heal()
    return trio_of_module


@pytest.fixture(scope="module")
def cluster_of_module() -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack)


@pytest.fixture
def cluster(cluster_of_module: Cluster) -> Cluster:
    cluster_of_module.heal()
    return cluster_of_module


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
async def test_master_of_three_sentinels_serves(trio: SentinelTrio, user: str) -> None:
    await try_everything(trio.url(user))


@pytest.mark.usefixtures("patient_store")
async def test_master_of_sentinels_serves_inside_tls_and_with_an_acl_user_of_the_sentinels(
    tls: tuple[ssl.SSLContext, Path],
) -> None:
    context, ca_file = tls
    sentinel_user = ["--user", "watch", "on", ">tower", *SENTINEL_ACL_RULE.split()]
    with (
        Server(*WITH_PASSWORDS) as master,
        relay(master.port, context) as master_port,
        Sentinel(master_port, 1, *sentinel_user) as sentinel,
        relay(sentinel.port, context) as port,
    ):
        options = f"?ssl_ca_certs={ca_file}&sentinel_username=watch&sentinel_password=tower"
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{port}"
        await try_everything(f"rediss+sentinel://{USER}:{USER_PASSWORD}@{hosts}/{MASTER_NAME}{options}")


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
async def test_shard_of_a_cluster_serves(cluster: Cluster, user: str) -> None:
    await try_everything(cluster.url(user))


@pytest.mark.usefixtures("patient_store")
async def test_cluster_serves_inside_tls(tls: tuple[ssl.SSLContext, Path]) -> None:
    context, ca_file = tls
    port = free_port()
    with clustered_server(announced_port=port) as node, relay(node.port, context, port):
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        until(lambda: "cluster_state:ok" in node.ask("CLUSTER", "INFO"))
        await try_everything(
            f"rediss+cluster://{USER}:{USER_PASSWORD}@localhost:{port}/?ssl_ca_certs={ca_file}"
        )


class CountingRepository(StateRepository):
    """Counts the exchanges that fail."""

    failures = 0

    async def exchange(self, exchange: Exchange, *, reap: bool = False) -> ExchangeResult:
        try:
            return await super().exchange(exchange, reap=reap)
        except StoreUnavailable:
            self.failures += 1
            raise


async def until_served(repository: StateRepository) -> float:
    """Return after how many seconds of pauses a write succeeded again; asks as an instance does."""
    begun = time.monotonic()
    paused, pause = 0.0, 0.02
    while True:
        try:
            await repository.announce_mail_directory(f"/srv/{next(numbers)}", overrides=True, by=OPERATOR)
        except StoreUnavailable:
            assert time.monotonic() < begun + SECONDS
            await asyncio.sleep(pause)
            paused += pause
            pause = min(2 * pause, 1.0)
        else:
            return paused


async def count_through(url: str, old: Server, is_replaced: Callable[[], bool]) -> list[dict[str, Any]]:
    """Count while the master is killed and replaced; every count has to be there soon, once.

    Returns what was logged.
    """
    repository = CountingRepository(url)
    with capture_logs() as events:
        async with closing(repository), instance_on(repository) as instance:
            before = (await repository.counters()).retrieved_bytes
            await asyncio.to_thread(old.until_replicated)
            old.kill()
            failing = asyncio.create_task(asyncio.to_thread(until, is_replaced))
            counted = 0
            while not failing.done():
                instance.deltas.retrieved_bytes += 1
                counted += 1
                instance.counted()
                await asyncio.sleep(0.002)
            await failing
            failures = repository.failures
            deadline = time.monotonic() + SECONDS
            instance.counted()
            while (found := (await counters_or_none(repository))) != before + counted:
                assert time.monotonic() < deadline, (found, before, counted, events)
                await asyncio.sleep(0.01)
            assert repository.failures - failures <= MOST_FAILURES
    return [dict(event) for event in events if event["log_level"] != "debug"]


async def counters_or_none(repository: StateRepository) -> int | None:
    try:
        return (await repository.counters()).retrieved_bytes
    except StoreUnavailable:
        return None


async def test_killed_master_is_replaced_by_the_one_that_sentinels_choose(trio: SentinelTrio) -> None:
    old = trio.master()
    async with repository_on(trio.url()) as repository:
        await repository.prepare()
        events = await count_through(trio.url(), old, lambda: trio.master() is not old)
        assert [event["event"] for event in events] == ["state store is away", "state store is back"]
        await use_the_whole_store(repository)
        await hear_a_change(repository)


async def test_master_that_was_replaced_and_has_no_replicas_any_more_is_left_at_once(
    trio: SentinelTrio,
) -> None:
    old = trio.master()
    # Without this a master that was replaced takes writes, and loses them, until the sentinels tell it.
    old.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    for sentinel in trio.sentinels:  # which they do after four such periods
        sentinel.ask("SENTINEL", "DEBUG", "publish-period", 5000)
    async with repository_on(trio.url()) as repository:
        await repository.prepare()
        await repository.announce_mail_directory("/srv/before", overrides=True, by=OPERATOR)
        await asyncio.to_thread(lambda: order_failover(trio))
        # The old one still calls itself a master, and our connection to it lives.
        assert await until_served(repository) < RECOVERED_SECONDS
        assert old.is_master()
        assert old.ask("HGET", keys.SETTINGS, "announced_directory") == "/srv/before"
        assert trio.master().ask("HGET", keys.SETTINGS, "announced_directory") != "/srv/before"
    old.ask("CONFIG", "SET", "min-replicas-to-write", 0)
    for sentinel in trio.sentinels:
        sentinel.hurry()


async def test_master_that_was_made_a_replica_is_left_within_the_same_question(trio: SentinelTrio) -> None:
    old = trio.master()
    async with repository_on(trio.url()) as repository:
        await repository.prepare()
        await repository.announce_mail_directory("/srv/before", overrides=True, by=OPERATOR)
        await asyncio.to_thread(lambda: order_failover(trio))
        old.ask("REPLICAOF", "127.0.0.1", trio.master().port)
        # Nobody cut our connection: the answer is READONLY, and the right server is found by it.
        await repository.announce_mail_directory("/srv/after", overrides=True, by=OPERATOR)
        assert trio.master().ask("HGET", keys.SETTINGS, "announced_directory") == "/srv/after"


def order_failover(trio: SentinelTrio) -> None:
    """Make the other server the master, as an operator does for maintenance."""
    old = trio.master()

    def is_done() -> bool:
        # Begun anew whenever the sentinel has given up, on a machine that is busy.
        with contextlib.suppress(redis.ResponseError):
            trio.sentinels[1].ask("SENTINEL", "FAILOVER", MASTER_NAME)
        return trio.master() is not old

    until(is_done)


async def test_instance_hears_changes_again_after_a_failover(trio: SentinelTrio) -> None:
    old = trio.master()
    async with repository_on(trio.url()) as repository, repository_on(trio.url()) as other:
        await repository.prepare()
        async with instance_on(repository) as instance:
            await asyncio.to_thread(old.kill)
            await asyncio.to_thread(lambda: until(lambda: trio.master() is not old))
            await until_served(other)
            await other.change_settings(by=OPERATOR, timeout_seconds=60 + next(numbers))
            expected = (await other.settings()).timeout_seconds
            await until_true(lambda: instance.settings.timeout_seconds == expected)


async def test_sentinels_that_are_down_or_hang_hide_no_other(trio: SentinelTrio) -> None:
    hanging = trio.sentinels[0]
    trio.sentinels[1].kill()
    assert hanging.process is not None
    hanging.process.send_signal(19)
    try:
        took, begun_at = [SECONDS + 0.0], time.monotonic()
        # The shortest, since another program may have the cores for a while.
        while min(took) >= 0.4:
            assert time.monotonic() < begun_at + SECONDS, took
            async with repository_on(trio.url()) as repository:
                begun = time.monotonic()
                await repository.ping()
                took.append(time.monotonic() - begun)
    finally:
        hanging.process.send_signal(18)


async def test_killed_node_of_our_shard_is_replaced_by_its_replica(cluster: Cluster) -> None:
    old = cluster.owner()
    async with repository_on(cluster.url()) as repository:
        await repository.prepare()
        events = await count_through(cluster.url(), old, lambda: cluster.owner() is not old)
        assert [event["event"] for event in events] == ["state store is away", "state store is back"]
        await use_the_whole_store(repository)
        await hear_a_change(repository)


async def test_shard_that_changes_its_master_by_order_is_followed(cluster: Cluster) -> None:
    old = cluster.owner()
    async with repository_on(cluster.url()) as repository:
        await repository.prepare()
        replica = next(node for node in cluster.nodes if not node.is_master())
        replica.ask("CLUSTER", "FAILOVER")
        await asyncio.to_thread(lambda: until(lambda: cluster.owner() is replica and not old.is_master()))
        # No pause: a refusal with MOVED is followed within the same question.
        await repository.announce_mail_directory("/srv/moved", overrides=True, by=OPERATOR)
        assert replica.ask("HGET", keys.SETTINGS, "announced_directory") == "/srv/moved"


async def test_slot_on_its_way_to_another_node_is_not_written_until_it_is_there(cluster: Cluster) -> None:
    source, target = cluster.owner(), cluster.bystander()
    ours, theirs = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
    slot = cluster.our_slot()
    async with repository_on(cluster.url()) as repository:
        await repository.prepare()
        await repository.announce_mail_directory("/srv/before", overrides=True, by=OPERATOR)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ours)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", theirs)
        with pytest.raises(StoreUnavailable, match=r"on their way to another node of the Cluster \(ASK\)"):
            await repository.announce_mail_directory("/srv/meanwhile", overrides=True, by=OPERATOR)
        while found := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *found)
        for node in (target, source, *cluster.nodes):
            with contextlib.suppress(redis.ResponseError):  # a replica is told by its master
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", theirs)
        assert (await repository.settings()).mail_directory == "/srv/before"
        assert await until_served(repository) < RECOVERED_SECONDS
        assert target.ask("HGET", keys.SETTINGS, "announced_directory").startswith("/srv/")


def complete(node: Server, first: int, last: int) -> None:
    """Give a node the slots that it lacks; it serves when it has found that all is well, 2 s later."""
    node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
    until(lambda: "cluster_state:ok" in node.ask("CLUSTER", "INFO"))


async def test_cluster_without_our_slot_is_waited_for() -> None:
    with clustered_server() as node:
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 99)
        reason = await first_line_of_waiting(
            f"redis+cluster://:{PASSWORD}@127.0.0.1:{node.port}",
            lambda: complete(node, 100, SLOTS - 1),
            reasons=2,
        )
    assert reason.startswith(f"node 127.0.0.1:{node.port}: knows no node for slot ")


async def test_cluster_that_is_down_for_want_of_another_slot_is_waited_for() -> None:
    with clustered_server() as node:
        node.ask("CLUSTER", "ADDSLOTSRANGE", 1, SLOTS - 1)
        reason = await first_line_of_waiting(
            f"redis+cluster://:{PASSWORD}@127.0.0.1:{node.port}",
            lambda: complete(node, 0, 0),
        )
    assert "no node of the Cluster serves our keys (CLUSTERDOWN)" in reason


async def test_node_of_a_cluster_is_not_taken_for_a_server_alone(cluster: Cluster) -> None:
    async with repository_on(f"redis://:{PASSWORD}@127.0.0.1:{cluster.bystander().port}") as repository:
        with pytest.raises(StoreUnavailable, match=r"\(MOVED\).*redis\+cluster://"):
            await repository.prepare()


async def test_sentinels_that_do_not_know_the_master_say_so(trio: SentinelTrio) -> None:
    async with repository_on(trio.url().replace(MASTER_NAME, "nobody")) as repository:
        with pytest.raises(StoreUnavailable, match="knows no master named nobody"):
            await repository.prepare()


async def test_sentinels_that_want_another_password_are_told_from_the_master(trio: SentinelTrio) -> None:
    async with repository_on(trio.url(options="")) as repository:
        with pytest.raises(StoreUnavailable, match=r"sentinel 127\.0\.0\.1:\d+: Redis wants a password"):
            await repository.prepare()
