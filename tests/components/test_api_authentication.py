"""Who may ask state-api: HTTP Basic with the PEEP administrators (RFC 7617, P18)."""

import base64

import httpx
import pytest
import redis
from structlog.testing import capture_logs

from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.allowances import leave_nothing
from support.api_client import ADMINISTRATOR, ADMINISTRATOR_PASSWORD, api_client, passwords, problem


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + encoded(b"root"),
        "Basic " + encoded(b"root:\xff\xfe"),
        "Basic " + encoded(b"root:x")[:-1] + "\u00e4",
        "Bearer " + encoded(b"root:root"),
        "Basic " + encoded(f"{ADMINISTRATOR}:{ADMINISTRATOR_PASSWORD}".encode()) + "=x",
    ],
)
async def test_a_malformed_header_is_as_good_as_none(repository: StateRepository, header: str) -> None:
    async with api_client(repository, auth=None) as client:
        response = await client.get("/v1/counters", headers=[(b"Authorization", header.encode("latin-1"))])
    problem(response, 401, "/docs#unauthenticated")


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
async def test_the_scheme_is_taken_in_any_case(repository: StateRepository, scheme: str) -> None:
    credentials = encoded(f"{ADMINISTRATOR}:{ADMINISTRATOR_PASSWORD}".encode())
    async with api_client(repository, auth=None) as client:
        response = await client.get("/v1/counters", headers={"Authorization": f"{scheme} {credentials}"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("name", "password"),
    [(ADMINISTRATOR, "wrong"), (ADMINISTRATOR, ""), ("nobody", ADMINISTRATOR_PASSWORD), ("", "")],
)
async def test_a_wrong_name_or_password_is_refused_and_neither_is_logged(
    repository: StateRepository, name: str, password: str
) -> None:
    async with api_client(repository, auth=httpx.BasicAuth(name, password)) as client:
        with capture_logs() as events:
            response = await client.get("/v1/counters")
    problem(response, 401, "/docs#unauthenticated")
    refused = [event for event in events if event["event"] == "administrator refused"]
    assert [event["address"] for event in refused] == ["192.0.2.1"]
    assert all(event.get("administrator") is None for event in events)
    assert not password or password not in repr(events)


async def test_a_pop3_user_is_no_administrator(repository: StateRepository) -> None:
    await repository.add_user("alice", await passwords().new_credential("secret"), by=OPERATOR)
    async with api_client(repository, auth=httpx.BasicAuth("alice", "secret")) as client:
        problem(await client.get("/v1/counters"), 401, "/docs#unauthenticated")


def networks_of(store: redis.Redis) -> set[str]:
    """Return the networks whose allowances wrong passwords have taken from."""
    found = store.scan_iter(f"{keys.ALLOWANCE}network *")
    return {str(name).removeprefix(f"{keys.ALLOWANCE}network ") for name in found}


async def test_a_wrong_password_counts_for_the_sockets_peer_whatever_forwarding_headers_say(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    wrong = httpx.BasicAuth(ADMINISTRATOR, "wrong")
    async with api_client(repository, auth=wrong, address="192.0.2.1") as client:
        for headers in ({"X-Forwarded-For": "198.51.100.1"}, {"Forwarded": "for=198.51.100.9"}):
            problem(await client.get("/v1/counters", headers=headers), 401, "/docs#unauthenticated")
    assert networks_of(behind_the_scenes) == {"192.0.2.1"}


async def test_an_ipv4_client_of_a_dual_stack_socket_counts_under_its_own_address(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    wrong = httpx.BasicAuth(ADMINISTRATOR, "wrong")
    async with api_client(repository, auth=wrong, address="::ffff:192.0.2.44") as client:
        await client.get("/v1/counters")
    assert networks_of(behind_the_scenes) == {"192.0.2.44"}


async def test_who_has_used_up_its_networks_allowance_is_told_when_to_come_again_not_that_it_is_wrong(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    leave_nothing(behind_the_scenes, "192.0.2.1")
    wrong = httpx.BasicAuth(ADMINISTRATOR, "wrong")
    async with api_client(repository, auth=wrong, patience_seconds=0.05) as client:
        refused = await client.get("/v1/counters")
    problem(refused, 429, "/docs#too-many-attempts")
    assert refused.headers["Retry-After"] == "3"


async def test_without_a_store_nobody_is_let_in_or_called_wrong() -> None:
    async with api_client() as client:
        response = await client.get("/v1/counters")
    problem(response, 503, "/docs#store-unavailable")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/metrics", "/docs", "/openapi.json"])
async def test_health_metrics_and_documentation_ask_for_no_password(
    repository: StateRepository, path: str
) -> None:
    async with api_client(repository, auth=None) as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("192.0.2.1", "198.51.100.9", "198.51.100.9"),
        ("192.0.2.1", "203.0.113.5, 198.51.100.9, 192.0.2.7", "198.51.100.9"),
        ("192.0.2.1", "", "192.0.2.1"),
        ("198.51.100.1", "203.0.113.5", "198.51.100.1"),
    ],
)
async def test_only_a_trusted_proxy_says_for_whom_it_asks(
    repository: StateRepository, peer: str, forwarded_for: str, address: str
) -> None:
    wrong = httpx.BasicAuth(ADMINISTRATOR, "wrong")
    async with api_client(repository, auth=wrong, address=peer, proxies=["192.0.2.0/24"]) as client:
        with capture_logs() as events:
            await client.get("/v1/counters", headers={"X-Forwarded-For": forwarded_for})
    assert {event["address"] for event in events} == {address}
