"""PEEP and HTTP over one Redis: what one of them is told, the other knows."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import redis
from structlog.testing import capture_logs

from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.allowances import leave_nothing
from support.api_client import ADMINISTRATOR, administrator_hash, problem
from support.api_server import ApiServer, api_server
from support.peep_gateway_server import LOGIN, Gateway, pop3_instance, running_gateway
from support.peep_gateway_server import PASSWORD as PEEP_PASSWORD
from support.peep_gateway_server import administrator_hash as peep_hash
from support.peepctl_program import Peepctl


@asynccontextmanager
async def both_front_ends(redis_url: str) -> AsyncIterator[tuple[Gateway, ApiServer]]:
    """Run both, each with its own connections to the store, as if they were on two machines."""
    ours, theirs = StateRepository(redis_url), StateRepository(redis_url)
    try:
        await ours.prepare()
        await theirs.prepare()
        async with running_gateway(ours) as gateway, api_server(theirs) as api:
            yield gateway, api
    finally:
        await ours.close()
        await theirs.close()


async def test_wrong_passwords_over_peep_and_http_have_one_allowance(
    redis_url: str, behind_the_scenes: redis.Redis
) -> None:
    wrong = httpx.BasicAuth(ADMINISTRATOR, "wrong")

    async with both_front_ends(redis_url) as (gateway, api), gateway.client() as client:
        leave_nothing(behind_the_scenes)
        problem(await api.client.get("/v1/version", auth=wrong), 429, "/docs#too-many-attempts")
        leave_nothing(behind_the_scenes)
        assert await client.exchange(b"a root wrong\r\n") == b"-8\r\n"
        # Another address waits for nothing.
        async with gateway.client(source="127.0.0.2") as elsewhere:
            assert await elsewhere.ask(b"a root wrong") == b"-2\r\n"


async def test_who_refuses_a_mail_directory_and_why_is_in_peeps_log_and_told_by_the_command(
    redis_url: str, tmp_path: Path
) -> None:
    async with both_front_ends(redis_url) as (gateway, api), pop3_instance(gateway.repository, usable=False):
        peepctl = Peepctl(
            tmp_path,
            PEEPCTL_HOST="{}:{}".format(*gateway.address),
            PEEPCTL_HTTP=f"http://127.0.0.1:{api.port}",
            PEEPCTL_USER=ADMINISTRATOR,
            PEEPCTL_PASSWORD=PEEP_PASSWORD,
        )
        await gateway.repository.replace_administrators({ADMINISTRATOR: peep_hash()}, by=OPERATOR)
        command = ("set", "mail-directory", "/srv/mail")
        with capture_logs() as events:
            done = await asyncio.to_thread(peepctl.run, *command)
        with capture_logs():
            without = await asyncio.to_thread(peepctl.run, *command, PEEPCTL_HTTP="http://127.0.0.1:1")
    reason = f"{socket.gethostname()}, process 1 (instance pop3): Permission denied"
    assert (done.code, done.stderr) == (1, f"peepctl: mail-directory cannot be /srv/mail: {reason}\n")
    (told,) = [event for event in events if event["event"] == "mail directory refused"]
    assert (told["mail_directory"], told["reasons"]) == ("/srv/mail", [reason])
    assert without.code == 1
    assert "its log says which process refused it and why" in without.stderr


async def test_a_setting_changed_over_peep_makes_a_change_over_http_a_lost_one(redis_url: str) -> None:
    async with both_front_ends(redis_url) as (gateway, api), gateway.client() as client:
        seen = {"If-Match": (await api.client.get("/v1/settings")).headers["etag"]}
        await gateway.repository.replace_administrators({"root": peep_hash()}, by=OPERATOR)
        assert await client.ask(LOGIN) == b"+\r\n"
        assert await client.ask(b"t= 5") == b"+\r\n"
        await gateway.repository.replace_administrators({ADMINISTRATOR: administrator_hash()}, by=OPERATOR)
        # Her sign-in over PEEP is over with the password that it came with.
        assert await client.exchange(b"t?\r\nt?\r\n") == b"-2\r\n"
        lost = await api.client.patch("/v1/settings", json={"timeout_seconds": 900}, headers=seen)
        problem(lost, 412, "/docs#settings-changed")
        assert (await api.client.get("/v1/settings")).json()["timeout_seconds"] == 5
