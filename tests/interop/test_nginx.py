"""state-api behind Debian's nginx: with its defaults, and with the settings of docs/http-behind-nginx.md."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from support.api_client import problem
from support.api_process import ADMINISTRATOR, RunningApi, running_api
from support.api_server import listening
from support.clients import lack

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "http-behind-nginx.md").read_text()
DOCUMENTED = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)[0]
DEFAULTS = "server { listen 80; location / { proxy_pass http://127.0.0.1:8110; } }"

AROUND = """\
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {server}
}}
"""
START_SECONDS = 20
RIGHT = dict(zip(("name", "password"), ADMINISTRATOR, strict=True))
CLIENT = "127.0.0.9"


@contextmanager
def nginx(server: str, api: RunningApi, folder: Path) -> Iterator[str]:
    """Run nginx in front of `api`, and give its address."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        lack("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for documented, here in (("listen 80", f"listen 127.0.0.1:{port}"), ("8110", str(api.port))):
        assert server.count(documented) == 1
        server = server.replace(documented, here)
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(folder=folder, server=server))
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [program, "-p", folder, "-c", configuration, "-e", folder / "error.log"],
            stdout=output,
            stderr=output,
        )
    try:
        until_it_listens(process, port, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def until_it_listens(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    """Return once nginx takes connections."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "output").read_text()
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    pytest.fail("nginx does not listen")


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give what a browser sends over plain http to another machine: an Origin, and no Sec-Fetch-Site."""
    transport = httpx.AsyncHTTPTransport(local_address=CLIENT)
    async with httpx.AsyncClient(
        transport=transport, base_url=url, headers={"Origin": url}, timeout=START_SECONDS
    ) as client:
        yield client


async def test_behind_nginxs_defaults_the_sign_in_says_what_the_proxy_has_to_do(
    redis_url: str, tmp_path: Path
) -> None:
    async with running_api(redis_url, tmp_path) as api:
        with nginx(DEFAULTS, api, tmp_path) as url:
            async with browser(url) as page:
                assert (await page.get("/")).status_code == 200
                refused = await page.post("/session", json=RIGHT)
    detail = problem(refused, 403, "/docs#host-rewritten")["detail"]
    assert "docs/http-behind-nginx.md" in detail
    assert "proxy_set_header Host $http_host;" in detail
    assert "proxy_set_header Host $http_host;" in DOCUMENTED


async def test_behind_the_documented_nginx_the_dashboard_works_and_sees_its_clients(
    redis_url: str, tmp_path: Path
) -> None:
    async with running_api(redis_url, tmp_path, PEEP_HTTP_PROXY_TRUSTED="127.0.0.1") as api:
        with nginx(DOCUMENTED, api, tmp_path) as url:
            async with browser(url) as page:
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
