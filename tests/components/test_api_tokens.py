"""`/v1/tokens` and `Authorization: Bearer`."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import redis
from structlog.testing import capture_logs

from state_api import event_feed
from state_store.administrators import MOST_API_TOKENS, TOKEN_USE_SECONDS
from state_store.credentials.api_tokens import is_token, new_token, token_digest
from state_store.credentials.attempts import INTERVAL_SECONDS
from state_store.credentials.passwords import Passwords
from state_store.redis import keys
from state_store.repository import StateRepository
from support.allowances import leave_nothing
from support.api_client import ADMINISTRATOR, api_client, failed_fields, problem
from support.api_server import api_server, listening

PATH = "/v1/tokens"
SCRAPER = {"name": "scraper", "role": "read"}


async def bearer(client: httpx.AsyncClient, **fields: object) -> dict[str, str]:
    """Make a token, and return the header that carries it."""
    made = await client.post(PATH, json={**SCRAPER, **fields})
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {made.json()['token']}"}


async def listed(client: httpx.AsyncClient) -> dict[str, object]:
    (token,) = (await client.get(PATH)).json()["tokens"]
    return dict(token)


async def test_a_token_is_made_shown_once_used_and_revoked(
    client: httpx.AsyncClient, repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    ends_at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    networks = ["192.0.2.0/24", "2001:db8::/32"]
    header = await bearer(client, networks=networks, ends_at=ends_at.isoformat())
    token = header["Authorization"].split()[1]
    assert is_token(token)
    shown = await listed(client)
    assert datetime.fromisoformat(str(shown.pop("made_at"))) <= datetime.now(UTC)
    assert datetime.fromisoformat(str(shown.pop("ends_at"))) == ends_at
    assert shown == {
        **SCRAPER,
        "networks": networks,
        "made_by": ADMINISTRATOR,
        "used_at": None,
        "used_from": None,
    }
    async with api_client(repository, auth=None, address="::ffff:192.0.2.9") as program:
        assert (await program.get("/v1/counters", headers=header)).status_code == 200
        used = await listed(client)
        assert used["used_from"] == "192.0.2.9"
        assert (await client.delete(f"{PATH}/scraper")).status_code == 204
        with capture_logs() as events:
            problem(await program.get("/v1/counters", headers=header), 401, "/docs#wrong-token")
        told = [
            (event["reason"], event["address"]) for event in events if event["event"] == "API token refused"
        ]
        assert told == [("unknown", "192.0.2.9")]
    problem(await client.delete(f"{PATH}/scraper"), 404, "/docs#unknown-token")
    kept = [behind_the_scenes.hgetall(key) for key in (keys.API_TOKENS, keys.API_TOKEN_USES)]
    assert kept == [{}, {}]
    assert token not in repr(behind_the_scenes.xrange(keys.AUDIT))


async def test_a_network_of_ipv4_that_is_written_as_ipv6_holds_its_clients(
    client: httpx.AsyncClient, repository: StateRepository
) -> None:
    header = await bearer(client, networks=["::ffff:192.0.2.0/120"])
    assert (await listed(client))["networks"] == ["192.0.2.0/24"]
    async with api_client(repository, auth=None, address="192.0.2.9") as program:
        assert (await program.get("/v1/counters", headers=header)).status_code == 200


async def test_an_end_that_cannot_be_shown_is_refused(client: httpx.AsyncClient) -> None:
    for ends_at in ("9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59-23:59"):
        answer = await client.post(PATH, json={**SCRAPER, "ends_at": ends_at})
        assert list(failed_fields(answer)) == ["ends_at"]
    await bearer(client, ends_at="9999-12-31T23:59:59Z")
    assert (await listed(client))["ends_at"] == "9999-12-31T23:59:59Z"


async def test_its_last_use_is_written_at_most_once_a_minute(
    client: httpx.AsyncClient, behind_the_scenes: redis.Redis
) -> None:
    header = await bearer(client)
    digest = token_digest(header["Authorization"].split()[1])
    for _ in range(2):
        await client.get("/v1/version", headers=header, auth=httpx.Auth())
    first = behind_the_scenes.hget(keys.API_TOKEN_USES, digest)
    await client.get("/v1/version", headers=header, auth=httpx.Auth())
    assert behind_the_scenes.hget(keys.API_TOKEN_USES, digest) == first
    earlier = int((time.time() - TOKEN_USE_SECONDS - 1) * 1000)
    behind_the_scenes.hset(keys.API_TOKEN_USES, digest, f"{earlier} 198.51.100.1")
    await client.get("/v1/version", headers=header, auth=httpx.Auth())
    assert (await listed(client))["used_from"] == "192.0.2.1"


async def test_the_audit_and_the_log_name_the_token_and_who_has_made_it(
    client: httpx.AsyncClient, behind_the_scenes: redis.Redis
) -> None:
    header = await bearer(client, role="all")
    with capture_logs() as events:
        await client.patch("/v1/settings", json={"timeout_seconds": 77}, headers=header, auth=httpx.Auth())
    (request,) = [event for event in events if event["event"] == "request"]
    assert (request["administrator"], request["token"]) == (ADMINISTRATOR, "scraper")
    entries: Any = behind_the_scenes.xrange(keys.AUDIT)
    acts = [fields for _, fields in entries]
    assert [(act["action"], act["who"], act["token"]) for act in acts][-3:] == [
        ("token.make", ADMINISTRATOR, ""),
        ("administrator.sign-in", ADMINISTRATOR, "scraper"),
        ("settings.change", ADMINISTRATOR, "scraper"),
    ]


@pytest.mark.parametrize("kind", ["unknown", "wrong checksum", "too short"])
async def test_a_wrong_token_counts_for_its_network_and_costs_no_password_check(
    client: httpx.AsyncClient,
    behind_the_scenes: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    token = new_token()
    if kind == "wrong checksum":
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    elif kind == "too short":
        token = token[:20]
    header = {"Authorization": f"Bearer {token}"}

    async def is_right(*_: object, **__: object) -> bool:
        raise AssertionError("a password is checked")

    monkeypatch.setattr(Passwords, "is_right", is_right)
    client.auth = httpx.Auth()
    began = time.time()
    with capture_logs() as events:
        for _ in range(3):
            problem(await client.get("/v1/counters", headers=header), 401, "/docs#wrong-token")
    assert token not in repr(events)
    full_at = int(str(behind_the_scenes.hget(f"{keys.ALLOWANCE}network 192.0.2.1", "full_at"))) / 1000
    # One answer of the network's twenty is taken: the same wrong one again is no new attempt.
    assert began - 0.001 <= full_at - INTERVAL_SECONDS <= time.time()


async def test_a_right_token_is_slowed_by_nobodys_guesses(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    async with api_client(repository, patience_seconds=0.05) as client:
        header = await bearer(client)
        client.auth = httpx.Auth()
        leave_nothing(behind_the_scenes, "192.0.2.1")
        guess = {"Authorization": f"Bearer {new_token()}"}
        problem(await client.get("/v1/counters", headers=guess), 429, "/docs#too-many-attempts")
        assert (await client.get("/v1/counters", headers=header)).status_code == 200


async def test_a_stream_ends_with_its_token(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "RECHECK_SECONDS", 0.05)
    async with api_client(repository) as client, api_server(repository) as replica:
        replica.client.headers.update(await bearer(client))
        replica.client.auth = httpx.Auth()  # sends nothing of its own
        async with listening(replica.client) as reader:
            await reader.until("counters")
            await client.delete(f"{PATH}/scraper")
            await reader.to_the_end()


async def test_what_makes_no_sense_is_refused_field_by_field(client: httpx.AsyncClient) -> None:
    wrong = {"name": "<b>", "role": "emperor", "networks": ["300.0.0.1"], "ends_at": "2001-01-01T00:00:00Z"}
    fields = failed_fields(await client.post(PATH, json=wrong))
    assert set(fields) == {"name", "role", "networks.0", "ends_at"}
    assert fields["ends_at"] == "must be in the future"
    assert "as 192.0.2.7, 192.0.2.0/24" in fields["networks.0"]
    for networks in (["10.0.0.1/8"], ["x"], [""], ["fe80::1%eth0"], ["10.0.0.0/8"] * 33):
        assert failed_fields(await client.post(PATH, json={**SCRAPER, "networks": networks}))
    assert failed_fields(await client.post(PATH, json={**SCRAPER, "ends_at": "2999-01-01T00:00:00"}))
    await bearer(client)
    problem(await client.post(PATH, json=SCRAPER), 409, "/docs#token-exists")


async def test_their_number_is_bounded(client: httpx.AsyncClient, behind_the_scenes: redis.Redis) -> None:
    full = {f"d{number}": f'["t{number}","read","",0,0,"root"]' for number in range(MOST_API_TOKENS)}
    behind_the_scenes.hset(keys.API_TOKENS, items=[word for pair in full.items() for word in pair])
    problem(await client.post(PATH, json=SCRAPER), 409, "/docs#too-many")
