"""Debian's Caddy and nginx before state-api: as docs/http-behind-a-proxy.md has them, or as they come."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from support.clients import lack
from support.redis_kinds import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "http-behind-a-proxy.md").read_text()
DOCUMENTED: dict[str, str] = dict(re.findall(r"<!-- proxy: (\w+) -->\n```\w*\n(.*?)```", PAGE, re.DOTALL))
DEFAULTS = "server { listen 80; location / { proxy_pass http://127.0.0.1:8110; } }"

AROUND_NGINX = """\
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {server}
}}
"""
# No second port, and none but this machine's own addresses.
BEFORE_CADDY = "{\n  admin off\n  default_bind 127.0.0.1\n}\n"
START_SECONDS = 30


def documented(proxy: str, api_port: int, folder: Path) -> AbstractContextManager[int]:
    """Run `caddy` or `nginx` with the settings of the page, and give its port."""
    return {"caddy": caddy, "nginx": nginx}[proxy](DOCUMENTED[proxy], api_port, folder)


def nginx(server: str, api_port: int, folder: Path) -> AbstractContextManager[int]:
    """Run nginx with this `server` in front of the state-api at a port, and give its own port."""
    port = free_port()
    server = placed(server, {"listen 80": f"listen 127.0.0.1:{port}", "8110": str(api_port)})
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND_NGINX.format(folder=folder, server=server))
    options = ("-p", folder, "-c", configuration, "-e", folder / "error.log")
    return running("nginx", options, port, folder)


def caddy(site: str, api_port: int, folder: Path) -> AbstractContextManager[int]:
    """Run Caddy with this site, by plain http, in front of the state-api at a port, and give its own port."""
    port = free_port()
    site = placed(site, {"peep.example.org {": f"http://127.0.0.1:{port} {{", "8110": str(api_port)})
    configuration = folder / "Caddyfile"
    configuration.write_text(BEFORE_CADDY + site)
    return running("caddy", ("run", "--adapter", "caddyfile", "--config", configuration), port, folder)


def placed(text: str, places: dict[str, str]) -> str:
    """Return a configuration with what is elsewhere in a test; each place is in it once."""
    for here, elsewhere in places.items():
        assert text.count(here) == 1
        text = text.replace(here, elsewhere)
    return text


@contextmanager
def running(name: str, options: Sequence[str | Path], port: int, folder: Path) -> Iterator[int]:
    """Run a proxy until the end of the context, and give its port once it takes connections."""
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        lack(name)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [program, *options], env=os.environ | {"HOME": str(folder)}, stdout=output, stderr=output
        )
    try:
        until_it_listens(process, port, folder)
        yield port
    finally:
        process.kill()
        process.wait()


def until_it_listens(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    """Return once the proxy takes connections."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "output").read_text()
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    pytest.fail("the proxy does not listen")
