"""Which role each route demands: the table that the code has is tried, pair by pair."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest
from starlette.routing import Route

from state_api.app import ROUTERS
from state_api.documentation import demanded_role
from state_store.administrators import Role
from state_store.credentials.api_tokens import new_token, token_digest
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import ADMINISTRATOR_PASSWORD, administrator_hash, api_client, problem

OPEN = {"/livez", "/readyz", "/healthz", "/metrics"}
"""What is documented and needs nobody's name."""

PAGE = ("/", "/docs", "/dashboard/", "/session")
"""What belongs to the dashboard, and is not documented."""

ADDRESS = "192.0.2.1"


@dataclass(frozen=True)
class Operation:
    """A row of the table."""

    method: str
    path: str
    role: Role


async def table(client: httpx.AsyncClient) -> list[Operation]:
    """Return all private routes, with the roles that they demand."""
    document = (await client.get("/openapi.json")).json()
    return [
        Operation(method.upper(), re.sub(r"{\w+}", "nobody", path), Role(demanded_role(operation)))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path not in OPEN
    ]


@pytest.fixture
async def tokens(repository: StateRepository) -> dict[str, str]:
    """Give a token for each role, one that has ended, and one for another network."""
    made = {name: new_token() for name in ("read", "helpdesk", "all", "ended", "elsewhere")}
    for name, token in made.items():
        role = Role(name) if name in {one.value for one in Role} else Role.ALL
        networks = ["198.51.100.0/24"] if name == "elsewhere" else [f"{ADDRESS}/32", "2001:db8::/32"]
        ends_at = time.time() - 1 if name == "ended" else time.time() + 60
        await repository.make_api_token(
            name, token_digest(token), role, networks=networks, ends_at=ends_at, by=OPERATOR
        )
    return made


@pytest.fixture
async def client(repository: StateRepository) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client without a name; streams would not end, so the process is about to stop."""
    async with api_client(repository, auth=None, address=ADDRESS, is_draining=lambda: True) as made:
        for role in Role:
            await repository.add_administrator(role.value, role, administrator_hash(), by=OPERATOR)
        yield made


def credentials(tokens: dict[str, str], role: Role) -> Iterator[dict[str, object]]:
    """Yield what a request of this role may come with."""
    yield {"headers": {"Authorization": f"Bearer {tokens[role.value]}"}}
    yield {"auth": httpx.BasicAuth(role.value.encode(), ADMINISTRATOR_PASSWORD.encode())}


@pytest.mark.parametrize("role", Role)
async def test_each_role_may_do_what_the_table_says(
    client: httpx.AsyncClient, tokens: dict[str, str], role: Role
) -> None:
    for one in await table(client):
        for proof in credentials(tokens, role):
            response = await client.request(one.method, one.path, json={}, **proof)  # type: ignore[arg-type]
            if role.covers(one.role):
                assert response.status_code not in {401, 403}, (one, response.text)
            else:
                refused = problem(response, 403, "/docs#role-needed")
                assert refused["role"] == one.role.value, one
                assert (
                    refused["detail"] == f"This needs the role {one.role.value}; {role.value} is not enough."
                )


async def test_nobody_gets_in_without_a_name_or_with_a_token_that_does_not_serve(
    client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for one in await table(client):
        response = await client.request(one.method, one.path, json={})
        problem(response, 401, "/docs#unauthenticated")
        assert response.headers["www-authenticate"] == 'Basic realm="Peep", charset="UTF-8"'
        assert response.headers["cache-control"] == "no-store"
        for name in ("ended", "elsewhere"):
            headers = {"Authorization": f"Bearer {tokens[name]}"}
            response = await client.request(one.method, one.path, json={}, headers=headers)
            problem(response, 401, "/docs#wrong-token")
            assert response.headers["www-authenticate"].startswith("Bearer ")


async def test_the_table_has_every_route(client: httpx.AsyncClient) -> None:
    documented = (await client.get("/openapi.json")).json()["paths"]
    served = {route.path for router in ROUTERS for route in router.routes if isinstance(route, Route)}
    undocumented = served - set(documented)
    assert not [path for path in undocumented if not path.startswith(PAGE[1:]) and path != PAGE[0]]
    assert {path for path in documented if not path.startswith("/v1/")} == OPEN


async def test_the_session_of_the_page_tells_the_role(client: httpx.AsyncClient) -> None:
    right = {"name": "helpdesk", "password": ADMINISTRATOR_PASSWORD}
    signed_in = (await client.post("/session", json=right)).json()
    assert signed_in["role"] == "helpdesk"
    assert (await client.get("/session")).json() == signed_in
    refused = await client.delete("/v1/users/bob", headers={"X-CSRF-Token": signed_in["csrf_token"]})
    problem(refused, 403, "/docs#role-needed")
