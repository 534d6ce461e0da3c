"""A client of the HTTP application, without a socket between them."""

import functools
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_application import application
from support.cheap_passwords import cheap_passwords

# httpx looks for it at each request, in every folder of the path.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

ADMINISTRATOR = "root"
ADMINISTRATOR_PASSWORD = "root:p\u00e4ssword"
BASIC = httpx.BasicAuth(ADMINISTRATOR.encode(), ADMINISTRATOR_PASSWORD.encode())


@functools.cache
def passwords() -> Passwords:
    """Return the one for all tests: it remembers the administrator, so that asking costs nothing."""
    return cheap_passwords()


async def is_password(repository: StateRepository, username: str, password: str) -> bool:
    """Return whether this is the user's password."""
    credential = await repository.credential(username)
    assert credential is not None
    return await passwords().is_right(username, credential, password)


@functools.cache
def administrator_hash() -> str:
    """Return the hash of `ADMINISTRATOR_PASSWORD`, made only once."""
    return passwords()._hasher.hash(ADMINISTRATOR_PASSWORD)


@asynccontextmanager
async def api_client(
    repository: StateRepository | None = None,
    *,
    auth: httpx.Auth | None = BASIC,
    address: str = "192.0.2.1",
    is_draining: Callable[[], bool] = lambda: False,
    proxies: Sequence[str] = (),
    patience_seconds: float = 1.0,
    metrics_need_token: bool = False,
) -> AsyncIterator[httpx.AsyncClient]:
    """Ask the application over `repository`, by default one that cannot be reached, from `address`."""
    if repository is None:
        repository = StateRepository("unix:///nonexistent/redis.sock")
    else:
        await repository.replace_administrators({ADMINISTRATOR: administrator_hash()}, by=OPERATOR)
    authenticator = Authenticator(repository, passwords(), patience_seconds=patience_seconds)
    with application(
        repository,
        authenticator,
        passwords(),
        is_draining=is_draining,
        proxies=proxies,
        metrics_need_token=metrics_need_token,
    ) as app:
        transport = httpx.ASGITransport(app, client=(address, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://peep", auth=auth) as client:
            yield client


async def sign_in(page: httpx.AsyncClient, **headers: str) -> str:
    """Sign in as the dashboard does, which has to succeed, and return the token for changes."""
    right = {"name": ADMINISTRATOR, "password": ADMINISTRATOR_PASSWORD}
    response = await page.post("/session", json=right, headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["administrator"] == ADMINISTRATOR
    token: str = response.json()["csrf_token"]
    return token


def problem(response: httpx.Response, status: int, kind: str = "about:blank") -> dict[str, Any]:
    """Return the problem that `response` holds, after checking what every problem must have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["type"] == kind
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]
    return document


def failed_fields(response: httpx.Response) -> dict[str, str]:
    """Return what is allowed in each field that failed."""
    document = problem(response, 422, "/docs#invalid-request")
    return {error["field"]: error["message"] for error in document["errors"]}
