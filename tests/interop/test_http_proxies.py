"""state-api behind the defaults of Debian's nginx, and behind the proxies of docs/http-behind-a-proxy.md."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from support.api_client import problem
from support.api_process import ADMINISTRATOR, running_api
from support.api_server import listening
from support.http_proxies import DEFAULTS, DOCUMENTED, documented, nginx

SECONDS = 20
RIGHT = dict(zip(("name", "password"), ADMINISTRATOR, strict=True))
CLIENT = "127.0.0.9"


@asynccontextmanager
async def browser(port: int) -> AsyncIterator[httpx.AsyncClient]:
    """Give what a browser sends over plain http to another machine: an Origin, and no Sec-Fetch-Site."""
    url = f"http://127.0.0.1:{port}"
    transport = httpx.AsyncHTTPTransport(local_address=CLIENT)
    async with httpx.AsyncClient(
        transport=transport, base_url=url, headers={"Origin": url}, timeout=SECONDS
    ) as client:
        yield client


async def test_behind_nginxs_defaults_the_sign_in_says_what_the_proxy_has_to_do(
    redis_url: str, tmp_path: Path
) -> None:
    async with running_api(redis_url, tmp_path) as api:
        with nginx(DEFAULTS, api.port, tmp_path) as port:
            async with browser(port) as page:
                assert (await page.get("/")).status_code == 200
                refused = await page.post("/session", json=RIGHT)
    detail = problem(refused, 403, "/docs#host-rewritten")["detail"]
    assert "docs/http-behind-a-proxy.md" in detail
    assert "proxy_set_header Host $http_host;" in detail
    assert "proxy_set_header Host $http_host;" in DOCUMENTED["nginx"]


@pytest.mark.parametrize("proxy", DOCUMENTED)
async def test_behind_the_documented_proxies_the_dashboard_works_and_sees_its_clients(
    redis_url: str, tmp_path: Path, proxy: str
) -> None:
    async with running_api(redis_url, tmp_path, PEEP_HTTP_PROXY_TRUSTED="127.0.0.1") as api:
        with documented(proxy, api.port, tmp_path) as port:
            async with browser(port) as page:
                signed_in = await page.post("/session", json=RIGHT)
                assert signed_in.status_code == 200, signed_in.text
                headers = {"X-CSRF-Token": signed_in.json()["csrf_token"]}
                alice = {"username": "alice", "password": "secret"}
                assert (await page.post("/v1/users", json=alice, headers=headers)).status_code == 201
                foreign = await page.post(
                    "/v1/users", json=alice, headers={**headers, "Origin": "http://elsewhere"}
                )
                problem(foreign, 403, "/docs#host-rewritten")
                async with listening(page) as reader:
                    for _ in range(2):  # once a second: nothing waits in a buffer
                        await reader.until("counters")
                # A client's own word about itself is dropped.
                await page.get("/v1/version", headers={"X-Forwarded-For": "198.51.100.9"})
        log = api.log()
    events = [json.loads(line) for line in log.splitlines()]
    assert [event["address"] for event in events if event["event"] == "administrator signed in"] == [CLIENT]
    assert "198.51.100.9" not in log
