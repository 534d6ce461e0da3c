"""Whatever kind of Redis there is: a login, a lock and counts; failovers; and what its faults are called."""

import asyncio
import contextlib
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from structlog.testing import capture_logs

from service_runtime.waiting import prepare_patiently
from state_store.credentials.attempts import Attempt, Outcome, RefusalReason, Verdict
from state_store.errors import StoreUnavailable, StoreUnusable, UnknownSlowDown
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import Credential, Deltas, Exchange, Instance, Login, LoginOutcome, NotificationKind
from state_store.redis import keys
from state_store.redis.repository import RedisRepository
from support.certificates import Authority
from support.redis_kinds import (
    MASTER_NAME,
    PASSWORD,
    SENTINEL_ACL_RULE,
    SLOTS,
    USER,
    USER_PASSWORD,
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

RECOVERED_SECONDS = 2.0
"""How long after a server's return, or a new master's naming, the store may be away (issue 4, item 5)."""

SECONDS = 10
CREDENTIAL = Credential("$argon2id$one", "v1")
USERS = {"default user": f":{PASSWORD}", "ACL user": f"{USER}:{USER_PASSWORD}"}

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
numbers = itertools.count(1)


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


@pytest.fixture(scope="module")
def guarded_server() -> Iterator[Server]:
    with Server(*WITH_PASSWORDS) as server:
        yield server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """Give the context of a server, and the file that its clients trust."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(folder))
    return context, authority.ca_file(folder)


@asynccontextmanager
async def repository_on(url: str) -> AsyncIterator[RedisRepository]:
    repository = RedisRepository(url)
    try:
        yield repository
    finally:
        await repository.close()


@asynccontextmanager
async def instance_on(repository: RedisRepository) -> AsyncIterator[LiveInstance]:
    async def can_use(path: str) -> bool:
        return True

    instance = LiveInstance(
        repository,
        InstanceOptions("host.example", 1, "1"),
        InstanceCallbacks(can_use, settings_changed=lambda: None, lease_lapsed=lambda: None),
    )
    await instance.start()
    try:
        yield instance
    finally:
        await instance.stop()


async def use_the_whole_store(repository: RedisRepository) -> None:
    """Log in, hold the maildrop's lock, count, and ask for all that operators ask for."""
    number = next(numbers)
    username, one, other = f"user{number}", f"one{number}", f"other{number}"
    before = await repository.counters()
    for instance_id in (one, other):
        await repository.register_instance(Instance(instance_id, "host.example", 42, "1.2.3", 1000.0))
    await repository.add_user(username, CREDENTIAL)
    assert await repository.credential(username) == CREDENTIAL
    deltas = Deltas(retrieved_bytes=5, logins=1)
    taken = Exchange(one, 1, deltas=deltas, logins=[Login(username, "s1", "v1", "192.0.2.1")])
    assert (await repository.exchange(taken, reap=True)).logins == [LoginOutcome.OPENED]
    refused = Exchange(other, 1, logins=[Login(username, "s2", "v1", "192.0.2.1")])
    assert (await repository.exchange(refused)).logins == [LoginOutcome.IN_USE]
    assert username in await repository.logged_in_users()
    after = await repository.counters()
    assert after.retrieved_bytes - before.retrieved_bytes == 5
    assert after.historical_logins - before.historical_logins == 1
    assert {one, other} <= {status.instance.instance_id for status in await repository.instances()}
    assert await repository.sessions() == []
    assert username in await repository.usernames()
    assert await repository.usernames_after(username, 1) in ([], [f"user{number + 1}"])
    await repository.deployment_secret()
    await repository.replace_administrators({"admin": "$argon2id$two"})
    assert await repository.administrators() == {"admin": "$argon2id$two"}
    assert not await repository.add_first_administrator("late", "$argon2id$three")
    attempt = Attempt(f"user user{number}", f"192.0.2.{number}", "digest")
    assert not await repository.recognise(attempt.subject, attempt.network)
    decision = await repository.begin_attempt(attempt)
    assert decision.verdict is Verdict.GO
    await repository.end_attempt(attempt, decision, Outcome.WRONG, RefusalReason.WRONG_PASSWORD)
    assert (await repository.begin_attempt(attempt)).verdict is Verdict.REPEATED
    assert await repository.slow_downs() == []
    with pytest.raises(UnknownSlowDown):
        await repository.lift_slow_down("0" * 12)
    await repository.announce_mail_directory("/srv/mail", overrides=True)
    await repository.set_credential(username, CREDENTIAL)
    await repository.remove_user(username)
    for instance_id in (one, other):
        await repository.end_instance(instance_id)
    await repository.change_settings(max_connections=1000 + number)
    assert (await repository.settings()).max_connections == 1000 + number
    await repository.ping()


async def hear_a_change(repository: RedisRepository) -> None:
    """Subscribe, change a setting, and return when the change was heard."""

    async def listen() -> None:
        async for event in repository.notifications():
            if event.kind is NotificationKind.RECONNECTED:
                await repository.announce_mail_directory(f"/srv/{next(numbers)}", overrides=True)
            elif event.kind is NotificationKind.SETTINGS_CHANGED:
                return

    await asyncio.wait_for(listen(), SECONDS)


async def try_everything(url: str) -> None:
    async with repository_on(url) as repository:
        await repository.prepare()
        await use_the_whole_store(repository)
        await hear_a_change(repository)


async def in_thread(action: Callable[[], object]) -> None:
    """Do something that takes its time while the loop goes on."""
    await asyncio.to_thread(action)


# Every kind, with a password and with an ACL user


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
async def test_one_server_serves_who_gives_its_password(guarded_server: Server, user: str) -> None:
    await try_everything(f"redis://{user}@127.0.0.1:{guarded_server.port}")


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
async def test_one_server_serves_inside_tls(
    guarded_server: Server, tls: tuple[ssl.SSLContext, Path], user: str
) -> None:
    context, ca_file = tls
    with relay(guarded_server.port, context) as port:
        await try_everything(f"rediss://{user}@localhost:{port}/0?ssl_ca_certs={ca_file}")


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
async def test_master_of_three_sentinels_serves(trio: SentinelTrio, user: str) -> None:
    await try_everything(trio.url(user))


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


async def test_cluster_serves_inside_tls(tls: tuple[ssl.SSLContext, Path]) -> None:
    context, ca_file = tls
    port = free_port()
    with clustered_server(announced_port=port) as node, relay(node.port, context, port):
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        until(lambda: "cluster_state:ok" in node.ask("CLUSTER", "INFO"))
        await try_everything(
            f"rediss+cluster://{USER}:{USER_PASSWORD}@localhost:{port}/?ssl_ca_certs={ca_file}"
        )


async def test_certificate_that_nobody_vouches_for_is_named(
    guarded_server: Server, tls: tuple[ssl.SSLContext, Path]
) -> None:
    with relay(guarded_server.port, tls[0]) as port:
        async with repository_on(f"rediss://:{PASSWORD}@localhost:{port}") as repository:
            with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await repository.prepare()


# Failovers


async def until_served(repository: RedisRepository) -> float:
    """Return after how many seconds a write succeeded again; asks as an instance does, with pauses."""
    begun = time.monotonic()
    pause = 0.02
    while True:
        try:
            await repository.announce_mail_directory(f"/srv/{next(numbers)}", overrides=True)
        except StoreUnavailable:
            assert time.monotonic() < begun + SECONDS
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)
        else:
            return time.monotonic() - begun


async def count_through(repository: RedisRepository, fail_over: Callable[[], object]) -> list[dict[str, Any]]:
    """Count while the master changes; every count has to be there in time, once. Returns what was logged."""
    before = (await repository.counters()).retrieved_bytes
    with capture_logs() as events:
        async with instance_on(repository) as instance:
            failing = asyncio.create_task(in_thread(fail_over))
            counted = 0
            while not failing.done():
                instance.deltas.retrieved_bytes += 1
                counted += 1
                instance.counted()
                await asyncio.sleep(0.002)
            await failing
            deadline = time.monotonic() + RECOVERED_SECONDS
            instance.counted()
            while (found := (await counters_or_none(repository))) != before + counted:
                assert time.monotonic() < deadline, (found, before, counted, events)
                await asyncio.sleep(0.01)
            print(f"served {RECOVERED_SECONDS - (deadline - time.monotonic()):.2f} s after the failover")
    return [dict(event) for event in events if event["log_level"] != "debug"]


async def counters_or_none(repository: RedisRepository) -> int | None:
    try:
        return (await repository.counters()).retrieved_bytes
    except StoreUnavailable:
        return None


async def test_killed_master_is_replaced_by_the_one_that_sentinels_choose(trio: SentinelTrio) -> None:
    old = trio.master()

    def fail_over() -> None:
        old.kill()
        until(lambda: trio.master() is not old)

    async with repository_on(trio.url()) as repository:
        await repository.prepare()
        # What the master took and had not yet told its replica would be lost with it.
        old.ask("WAIT", 1, 1000)
        events = await count_through(repository, fail_over)
        assert [event["event"] for event in events] == ["state store is away", "state store is back"]
        await use_the_whole_store(repository)
        await hear_a_change(repository)


async def test_master_that_was_replaced_and_has_no_replicas_any_more_is_left_at_once(
    trio: SentinelTrio,
) -> None:
    old = trio.master()
    # Without this a master that was replaced takes writes, and loses them, until the sentinels tell it.
    old.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    async with repository_on(trio.url()) as repository:
        await repository.prepare()
        await repository.announce_mail_directory("/srv/before", overrides=True)
        await in_thread(lambda: order_failover(trio))
        # The old one still calls itself a master, and our connection to it lives.
        assert await until_served(repository) < RECOVERED_SECONDS
        assert old.is_master()
        assert old.ask("HGET", keys.SETTINGS, "announced_directory") == "/srv/before"
        assert trio.master().ask("HGET", keys.SETTINGS, "announced_directory") != "/srv/before"
    old.ask("CONFIG", "SET", "min-replicas-to-write", 0)


async def test_master_that_was_made_a_replica_is_left_within_the_same_question(trio: SentinelTrio) -> None:
    old = trio.master()
    async with repository_on(trio.url()) as repository:
        await repository.prepare()
        await repository.announce_mail_directory("/srv/before", overrides=True)
        await in_thread(lambda: order_failover(trio))
        old.ask("REPLICAOF", "127.0.0.1", trio.master().port)
        # Nobody cut our connection: the answer is READONLY, and the right server is found by it.
        await repository.announce_mail_directory("/srv/after", overrides=True)
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
            await in_thread(old.kill)
            await in_thread(lambda: until(lambda: trio.master() is not old))
            await until_served(other)
            await other.change_settings(timeout_seconds=60 + next(numbers))
            expected = (await other.settings()).timeout_seconds
            deadline = time.monotonic() + RECOVERED_SECONDS
            while instance.settings.timeout_seconds != expected:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)


async def test_sentinels_that_are_down_or_hang_hide_no_other(trio: SentinelTrio) -> None:
    hanging = trio.sentinels[0]
    trio.sentinels[1].kill()
    assert hanging.process is not None
    hanging.process.send_signal(19)
    try:
        async with repository_on(trio.url()) as repository:
            begun = time.monotonic()
            await repository.ping()
            assert time.monotonic() - begun < 0.4
    finally:
        hanging.process.send_signal(18)


async def test_killed_node_of_our_shard_is_replaced_by_its_replica(cluster: Cluster) -> None:
    old = cluster.owner()

    def fail_over() -> None:
        old.kill()
        until(lambda: cluster.owner() is not old)

    async with repository_on(cluster.url()) as repository:
        await repository.prepare()
        events = await count_through(repository, fail_over)
        assert [event["event"] for event in events] == ["state store is away", "state store is back"]
        await use_the_whole_store(repository)
        await hear_a_change(repository)


async def test_shard_that_changes_its_master_by_order_is_followed(cluster: Cluster) -> None:
    old = cluster.owner()
    async with repository_on(cluster.url()) as repository:
        await repository.prepare()
        replica = next(node for node in cluster.nodes if not node.is_master())
        replica.ask("CLUSTER", "FAILOVER")
        await in_thread(lambda: until(lambda: cluster.owner() is replica and not old.is_master()))
        # No pause: a refusal with MOVED is followed within the same question.
        await repository.announce_mail_directory("/srv/moved", overrides=True)
        assert replica.ask("HGET", keys.SETTINGS, "announced_directory") == "/srv/moved"


async def test_slot_on_its_way_to_another_node_is_not_written_until_it_is_there(cluster: Cluster) -> None:
    source, target = cluster.owner(), cluster.bystander()
    ours, theirs = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
    slot = cluster.our_slot()
    async with repository_on(cluster.url()) as repository:
        await repository.prepare()
        await repository.announce_mail_directory("/srv/before", overrides=True)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ours)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", theirs)
        with pytest.raises(StoreUnavailable, match=r"on their way to another node of the Cluster \(ASK\)"):
            await repository.announce_mail_directory("/srv/meanwhile", overrides=True)
        while found := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *found)
        for node in (target, source, *cluster.nodes):
            with contextlib.suppress(redis.ResponseError):  # a replica is told by its master
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", theirs)
        assert (await repository.settings()).mail_directory == "/srv/before"
        assert await until_served(repository) < RECOVERED_SECONDS
        assert target.ask("HGET", keys.SETTINGS, "announced_directory").startswith("/srv/")


# Faults


async def first_line_of_waiting(url: str, recover: Callable[[], object], *, reasons: int = 1) -> str:
    """Wait for a Redis that has a fault until `recover` took it away; return the reason that was logged.

    So many reasons may be logged, while it recovers step by step.
    """
    async with repository_on(url) as repository:
        with capture_logs() as events:
            waiting = asyncio.create_task(prepare_patiently(repository, log, url, asyncio.Event()))
            deadline = time.monotonic() + SECONDS
            # Long enough for several attempts.
            while not events or time.monotonic() < deadline - SECONDS + 0.5:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            await in_thread(recover)
            begun = time.monotonic()
            assert await waiting
            assert time.monotonic() - begun < RECOVERED_SECONDS
        *waits, last = [event["event"] for event in events]
        assert 1 <= len(waits) <= reasons
        assert (set(waits), last) == ({"waiting for redis"}, "redis is there")
        assert not any(secret in repr(events) for secret in (PASSWORD, USER_PASSWORD, "stale-secret"))
        await use_the_whole_store(repository)
        return str(events[0]["reason"])


async def test_memory_that_is_used_up_is_waited_for(server: Server) -> None:
    server.ask("CONFIG", "SET", "maxmemory", 1)
    reason = await first_line_of_waiting(
        f"redis://127.0.0.1:{server.port}", lambda: server.ask("CONFIG", "SET", "maxmemory", 0)
    )
    assert reason == ("Redis is out of memory (OOM) and takes no writes: raise its maxmemory or free memory")


async def test_memory_that_is_used_up_later_is_the_reason_that_an_instance_gives(server: Server) -> None:
    async with repository_on(f"redis://127.0.0.1:{server.port}") as repository:
        await repository.prepare()
        with capture_logs() as events:
            async with instance_on(repository) as instance:
                server.ask("CONFIG", "SET", "maxmemory", 1)
                instance.deltas.retrieved_bytes += 7
                instance.counted()
                await until_logged(events, "state store is away")
                assert (await repository.settings()).max_connections == 1000
                server.ask("CONFIG", "SET", "maxmemory", 0)
                begun = time.monotonic()
                await until_logged(events, "state store is back")
                assert time.monotonic() - begun < RECOVERED_SECONDS
        assert (await repository.counters()).retrieved_bytes == 7
        assert [event["event"] for event in events] == ["state store is away", "state store is back"]
        assert "(OOM)" in events[0]["reason"]


async def until_logged(events: list[Any], line: str) -> None:
    deadline = time.monotonic() + SECONDS
    while line not in [event["event"] for event in events]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_replica_is_waited_for_until_it_is_the_master(server: Server) -> None:
    with Server() as master:
        server.ask("REPLICAOF", "127.0.0.1", master.port)
        reason = await first_line_of_waiting(
            f"redis://127.0.0.1:{server.port}", lambda: server.ask("REPLICAOF", "NO", "ONE")
        )
    assert reason.startswith("this Redis is a replica (READONLY) and takes no writes: PEEP_REDIS_URL must")


async def test_too_few_replicas_are_waited_for(server: Server) -> None:
    server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    reason = await first_line_of_waiting(
        f"redis://127.0.0.1:{server.port}", lambda: server.ask("CONFIG", "SET", "min-replicas-to-write", 0)
    )
    assert reason.startswith("Redis has too few replicas (NOREPLICAS)")


async def test_disk_that_takes_no_more_is_waited_for(server: Server) -> None:
    folder = server.ask("CONFIG", "GET", "dir")["dir"]
    in_the_way = Path(folder) / "dump.rdb"
    in_the_way.mkdir()  # a dump cannot be renamed onto a folder
    (in_the_way / "occupied").touch()
    server.ask("CONFIG", "SET", "save", "3600 1")
    server.ask("SET", "{peep}:x", "1")
    server.ask("BGSAVE")
    until(lambda: server.ask("INFO", "persistence")["rdb_last_bgsave_status"] == "err")
    reason = await first_line_of_waiting(
        f"redis://127.0.0.1:{server.port}", lambda: server.ask("CONFIG", "SET", "save", "")
    )
    assert reason.startswith("Redis cannot save to its disk (MISCONF) and takes no writes: free space")


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("", "Redis wants a password (NOAUTH): PEEP_REDIS_URL must give one"),
        (":stale-secret@", "Redis refuses the user name or password (WRONGPASS) that PEEP_REDIS_URL gives"),
        (f"{USER}:stale-secret@", "Redis refuses the user name or password (WRONGPASS) that"),
    ],
)
async def test_password_that_is_wrong_today_may_be_right_tomorrow(user: str, reason: str) -> None:
    with Server(*WITH_PASSWORDS) as server:

        def rotate() -> None:
            rules = ["nopass"] if not user else [">stale-secret"]
            name = USER if user.startswith(USER) else "default"
            server.ask("ACL", "SETUSER", name, *rules)

        said = await first_line_of_waiting(f"redis://{user}127.0.0.1:{server.port}", rotate)
        assert said.startswith(reason)


async def test_permission_that_is_missing_is_named(server: Server) -> None:
    server.ask("ACL", "SETUSER", "peep", "on", ">secret", "~*", "&*", "+@all", "-set")
    reason = await first_line_of_waiting(
        f"redis://peep:secret@127.0.0.1:{server.port}",
        lambda: server.ask("ACL", "SETUSER", "peep", "+set"),
    )
    assert reason.startswith("the ACL user of PEEP_REDIS_URL lacks a permission (NOPERM): ")
    assert "'set' command" in reason


async def test_permission_that_a_script_misses_is_named(server: Server) -> None:
    server.ask("ACL", "SETUSER", "peep", "on", ">secret", "~*", "&*", "+@all", "-hsetnx")
    async with repository_on(f"redis://peep:secret@127.0.0.1:{server.port}") as repository:
        await repository.prepare()
        with pytest.raises(StoreUnavailable, match=r"lacks a permission \(NOPERM\): .*hsetnx"):
            await repository.announce_mail_directory("/srv/mail", overrides=False)


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


async def test_sentinels_that_are_all_down_are_named_without_a_secret() -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    async with repository_on(f"redis+sentinel://:stale-secret@{hosts}/m") as repository:
        with pytest.raises(StoreUnavailable) as refused:
            await repository.prepare()
    assert str(refused.value).startswith(f"no sentinel answers at {hosts.replace(',', ', ')}: ")
    assert "stale-secret" not in str(refused.value)


# What can never serve us, and what only just not yet: servers that are told here what to answer


@asynccontextmanager
async def answering(answers: dict[str, str]) -> AsyncIterator[str]:
    """Serve one answer to each command, by its name; give the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append((asyncio.current_task(), writer))
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:-2].decode())
            writer.write((answers.get(words[0], "+OK") + "\r\n").encode())

    serving: list[tuple[Any, asyncio.StreamWriter]] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task, writer in serving:
            writer.close()
            await task


def bulk(text: str) -> str:
    return f"${len(text)}\r\n{text}"


async def test_server_that_is_too_old_is_never_written_to_and_never_waited_for() -> None:
    told = {"HELLO": "%1\r\n+proto\r\n:3", "INFO": bulk("# Server\r\nredis_version:6.2.14\r\n"), "SET": "-NO"}
    async with answering(told) as url, repository_on(url) as repository:
        with pytest.raises(StoreUnusable, match=r"Redis 6\.2\.14 is too old: 7\.0 or Valkey 7\.2 is needed"):
            await prepare_patiently(repository, log, url, asyncio.Event())


async def test_server_from_before_hello_is_too_old_as_well() -> None:
    told = {"HELLO": "-ERR unknown command `HELLO`, with args beginning with: `3`, "}
    async with answering(told) as url, repository_on(url) as repository:
        with pytest.raises(StoreUnusable, match=r"too old: 7\.0 or Valkey 7\.2 is needed"):
            await repository.prepare()


async def test_server_that_still_reads_its_files_is_waited_for() -> None:
    told = {
        "HELLO": "%1\r\n+proto\r\n:3",
        "INFO": bulk("# Server\r\nredis_version:7.2.4\r\n"),
        "SET": "-LOADING Redis is loading the dataset in memory",
        "EVALSHA": "*2\r\n$0\r\n\r\n:0",  # whose store it is: nobody's yet
    }
    async with answering(told) as url, repository_on(url) as repository:
        with capture_logs() as events:
            waiting = asyncio.create_task(prepare_patiently(repository, log, url, asyncio.Event()))
            await until_logged(events, "waiting for redis")
            told |= {"SET": f"+{keys.LAYOUT_VERSION}"}
            assert await asyncio.wait_for(waiting, RECOVERED_SECONDS)
    assert [event["event"] for event in events] == ["waiting for redis", "redis is there"]
    assert events[0]["reason"].startswith("Redis is still reading its files (LOADING)")


async def test_new_reason_to_wait_is_told_and_an_old_one_is_not_repeated(server: Server) -> None:
    url = f"redis://127.0.0.1:{server.port}"
    server.ask("CONFIG", "SET", "maxmemory", 1)

    def next_fault() -> None:
        server.ask("CONFIG", "SET", "maxmemory", 0)
        server.ask("CONFIG", "SET", "min-replicas-to-write", 1)

    async with repository_on(url) as repository:
        with capture_logs() as events:
            waiting = asyncio.create_task(prepare_patiently(repository, log, url, asyncio.Event()))
            await until_logged(events, "waiting for redis")
            next_fault()
            deadline = time.monotonic() + SECONDS
            while len(events) < 2:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            server.ask("CONFIG", "SET", "min-replicas-to-write", 0)
            assert await asyncio.wait_for(waiting, RECOVERED_SECONDS)
    reasons = [event.get("reason", "") for event in events]
    assert [reason.partition(")")[0].partition("(")[2] for reason in reasons] == ["OOM", "NOREPLICAS", ""]
