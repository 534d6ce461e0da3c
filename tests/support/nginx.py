"""Debian's nginx in front of state-api, with the settings of docs/http-behind-nginx.md, or hardly any."""

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.clients import lack

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "http-behind-nginx.md").read_text()
DOCUMENTED: str = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)[0]
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


@contextmanager
def nginx(server: str, api_port: int, folder: Path) -> Iterator[int]:
    """Run nginx with this `server` in front of the state-api at a port, and give its own port."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        lack("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for documented, here in (("listen 80", f"listen 127.0.0.1:{port}"), ("8110", str(api_port))):
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
        yield port
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
