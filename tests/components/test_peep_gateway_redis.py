"""The PEEP gateway over a real Redis server: what it keeps, and what it says while Redis is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from state_store.redis.repository import RedisRepository
from support.peep_gateway_server import LOGIN, converse, pop3_instance, running_gateway
from support.redis_server import RedisServer


@asynccontextmanager
async def redis_repository(url: str) -> AsyncIterator[RedisRepository]:
    repository = RedisRepository(url)
    await repository.prepare()
    try:
        yield repository
    finally:
        await repository.close()


async def test_all_commands_work_over_redis(redis_url: str) -> None:
    async with redis_repository(redis_url) as repository, pop3_instance(repository):
        await repository.announce_mail_directory("/var/mail/peep", overrides=False)
        await converse(
            """
            C: u+ unix torvalds
            C: u+ linus torvalds
            C: u+ unix x
            S: +
            S: +
            S: -3
            C: u?
            S: +2
            S: linus
            S: unix
            C: u- unix
            S: +
            C: u- unix
            S: -4
            C: m?
            S: +/var/mail/peep
            C: m= /srv//mail/
            S: +
            C: m?
            S: +/srv/mail
            C: t= 0
            S: +
            C: t?
            S: +0
            C: rb?
            C: re?
            C: xe?
            C: cc?
            C: cu?
            C: hc?
            C: hu?
            S: +0
            S: +0
            S: +0
            S: +0
            S: +0
            S: +0
            S: +0
            """,
            repository,
        )


async def test_limit_of_connections_is_kept_in_redis(redis_url: str) -> None:
    async with redis_repository(redis_url) as repository:
        await converse("C: c= 15\nS: +\nC: c?\nS: +15", repository)
        async with redis_repository(redis_url) as other:
            await converse("C: c?\nS: +15", other)


async def test_mail_directory_that_an_instance_refuses_stays_as_it_was(redis_url: str) -> None:
    async with redis_repository(redis_url) as repository, pop3_instance(repository, usable=False):
        await repository.announce_mail_directory("/var/mail/peep", overrides=False)
        await converse("C: m= /srv/mail\nS: -6\nC: m?\nS: +/var/mail/peep", repository)


async def test_session_outlives_an_outage_of_redis(redis_server: RedisServer) -> None:
    """P16: `-8` to what needs Redis, everything else as ever, and no wrong password counted."""
    async with (
        redis_repository(redis_server.url) as repository,
        running_gateway(repository) as gateway,
        gateway.client(logged_in=True) as client,
        gateway.client(source="127.0.0.31") as stranger,
    ):
        redis_server.kill()
        await client.play("C: c?\nS: -8\nC: u+ bob pw\nS: -8\nC: c= 0\nS: -5\nC: h?\nS: -0\nC: c=\nS: -1")
        assert await stranger.ask(LOGIN) == b"-8\r\n"
        redis_server.start()
        await client.play("C: c?\nS: +1000\nC: u+ bob pw\nS: +")
        assert await stranger.ask(LOGIN) == b"+\r\n"
