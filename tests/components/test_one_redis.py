"""One Redis as people run it, with passwords, ACL users and TLS: it serves, and its faults have names."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from service_runtime.lifecycle import Lifecycle
from service_runtime.waiting import prepare_patiently
from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.redis import keys
from support.actors import OPERATOR
from support.certificates import Authority
from support.redis_kinds import PASSWORD, USER, USERS, WITH_PASSWORDS, Server, free_port, relay
from support.waiting import until
from support.whole_store import (
    SECONDS,
    first_line_of_waiting,
    instance_on,
    repository_on,
    try_everything,
    until_logged,
)

pytestmark = pytest.mark.usefixtures("patient_store")

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


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


async def test_certificate_that_nobody_vouches_for_is_named(
    guarded_server: Server, tls: tuple[ssl.SSLContext, Path]
) -> None:
    with relay(guarded_server.port, tls[0]) as port:
        async with repository_on(f"rediss://:{PASSWORD}@localhost:{port}") as repository:
            with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await repository.prepare()


# Faults


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
                await until_logged(events, "state store is back")
        assert (await repository.counters()).retrieved_bytes == 7
        assert [event["event"] for event in events] == ["state store is away", "state store is back"]
        assert "(OOM)" in events[0]["reason"]


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
    await until(lambda: server.ask("INFO", "persistence")["rdb_last_bgsave_status"] == "err")
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
    server.ask("ACL", "SETUSER", "peep", "on", ">secret", "~*", "&*", "+@all", "-hset")
    async with repository_on(f"redis://peep:secret@127.0.0.1:{server.port}") as repository:
        await repository.prepare()
        with pytest.raises(StoreUnavailable, match=r"lacks a permission \(NOPERM\): .*hset"):
            await repository.announce_mail_directory("/srv/mail", overrides=False, by=OPERATOR)


async def test_new_reason_to_wait_is_told_and_an_old_one_is_not_repeated(server: Server) -> None:
    url = f"redis://127.0.0.1:{server.port}"
    server.ask("CONFIG", "SET", "maxmemory", 1)

    def next_fault() -> None:
        server.ask("CONFIG", "SET", "maxmemory", 0)
        server.ask("CONFIG", "SET", "min-replicas-to-write", 1)

    async with repository_on(url) as repository:
        with capture_logs() as events:
            waiting = asyncio.create_task(prepare_patiently(repository, log, url, Lifecycle()))
            await until_logged(events, "waiting for redis")
            next_fault()
            await until(lambda: len(events) == 2)
            server.ask("CONFIG", "SET", "min-replicas-to-write", 0)
            assert await asyncio.wait_for(waiting, SECONDS)
    reasons = [event.get("reason", "") for event in events]
    assert [reason.partition(")")[0].partition("(")[2] for reason in reasons] == ["OOM", "NOREPLICAS", ""]


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
            await prepare_patiently(repository, log, url, Lifecycle())


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
            waiting = asyncio.create_task(prepare_patiently(repository, log, url, Lifecycle()))
            await until_logged(events, "waiting for redis")
            told |= {"SET": f"+{keys.LAYOUT_VERSION}"}
            assert await asyncio.wait_for(waiting, SECONDS)
    assert [event["event"] for event in events] == ["waiting for redis", "redis is there"]
    assert events[0]["reason"].startswith("Redis is still reading its files (LOADING)")
