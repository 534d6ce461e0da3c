"""Which door an act has come through, who has opened it, and that no secret is ever in the audit."""

from typing import Any

import httpx
import redis

from state_store.audit import Door, Wanted
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import ADMINISTRATOR, ADMINISTRATOR_PASSWORD, api_client, sign_in
from support.foreign_hashes import one_of_each_scheme
from support.peep_gateway_server import LOGIN, PASSWORD, Gateway

HASHES = {made.scheme: made.text for made in one_of_each_scheme()}
SECRETS = ("secret-of-alice", "newer-secret", "guessed", ADMINISTRATOR_PASSWORD, PASSWORD, HASHES["SSHA"])


async def told(store: StateRepository) -> list[tuple[str, Door, str, str]]:
    """Return who did what through which door, and from where."""
    return [
        (act.by.name, act.by.door, act.by.address, act.action)
        async for act in store.all_acts(Wanted())
        if act.by != OPERATOR
    ]


async def test_what_comes_over_peep(gateway: Gateway) -> None:
    async with gateway.client() as client:
        await client.ask(b"a root guessed")
        await client.ask(LOGIN)
        for line in (b"u+ alice secret-of-alice", b"p= alice newer-secret", b"c= 5", b"t= 0", b"u- alice"):
            assert await client.ask(line) == b"+\r\n"
        assert await client.ask(b"c= 5") == b"+\r\n"  # nothing changes
    actions = ["administrator.sign-in", "user.add", "password.set", *["settings.change"] * 2, "user.remove"]
    assert await told(gateway.repository) == [
        ("", Door.PEEP, "127.0.0.1", "administrator.refuse"),
        *(("root", Door.PEEP, "127.0.0.1", action) for action in actions),
    ]


async def test_what_comes_over_http_and_from_the_page(repository: StateRepository) -> None:
    async with api_client(repository, address="192.0.2.7") as client:
        for _ in range(3):
            await client.get("/v1/counters")
        await client.post("/v1/users", json={"username": "alice", "password": "secret-of-alice"})
    async with api_client(repository, address="192.0.2.8", auth=None) as page:
        await page.post("/session", json={"name": ADMINISTRATOR, "password": "guessed"})
        header = {"X-CSRF-Token": await sign_in(page)}
        await page.delete("/v1/users/alice", headers=header)
        assert (await page.delete("/session", headers=header)).status_code == 204
    assert await told(repository) == [
        (ADMINISTRATOR, Door.HTTP, "192.0.2.7", "administrator.sign-in"),
        (ADMINISTRATOR, Door.HTTP, "192.0.2.7", "user.add"),
        ("", Door.DASHBOARD, "192.0.2.8", "administrator.refuse"),
        (ADMINISTRATOR, Door.DASHBOARD, "192.0.2.8", "administrator.sign-in"),
        (ADMINISTRATOR, Door.DASHBOARD, "192.0.2.8", "user.remove"),
        (ADMINISTRATOR, Door.DASHBOARD, "192.0.2.8", "administrator.sign-out"),
    ]


async def test_no_secret_is_in_the_audit(
    repository: StateRepository, gateway: Gateway, behind_the_scenes: redis.Redis
) -> None:
    async with gateway.client() as client:
        await client.ask(b"a guessed guessed")
        await client.ask(LOGIN)
        await client.ask(b"u+ alice secret-of-alice")
    async with api_client(repository) as api:
        await api.put("/v1/users/alice/password", json={"password": "newer-secret"})
        await api.put("/v1/users/alice/password", json={"password_hash": HASHES["SSHA"]})
        many = [{"username": "bob", "password_hash": HASHES["SSHA"]}]
        assert (await api.post("/v1/users", json={"users": many})).status_code == 200
        await api.get("/v1/users", auth=httpx.BasicAuth("guessed", "guessed"))
        made = await api.post("/v1/tokens", json={"name": "scraper", "role": "read"})
        token = made.json()["token"]
    found: Any = behind_the_scenes.xrange(keys.AUDIT)
    actions = [fields["action"] for _, fields in found]
    assert {"user.add", "password.set", "token.make", "administrator.refuse"} <= set(actions)
    assert [secret for secret in (*SECRETS, token) if secret in repr(found)] == []
