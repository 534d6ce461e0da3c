"""Environment to objects to service. The only place that builds things."""

import functools
import socket

from line_server.listener import display
from line_server.proxy_header import TrustedProxies
from service_runtime import command_line, process
from service_runtime.front_end import Place, serve_front_end
from service_runtime.settings import ApiSettings
from state_api.app import create_app
from state_api.serving import serve_http
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.repository import StateRepository

SERVICE = "state-api"

PATIENCE_SECONDS = 1.0
"""How long a request may wait for an allowance of wrong passwords. Then its client is told when to come
again, and whoever has gone meanwhile keeps nobody waiting for longer."""


async def serve(given: ApiSettings, lifecycle: process.Lifecycle) -> None:
    """Serve HTTP until the process is told to stop. Raises `StartError` when that cannot begin."""
    await serve_front_end(
        SERVICE,
        given,
        lifecycle,
        [Place(given.http_host, given.http_port, "http_port")],
        functools.partial(_serve, given, lifecycle),
    )


async def _serve(
    given: ApiSettings,
    lifecycle: process.Lifecycle,
    sockets: list[list[socket.socket]],
    repository: StateRepository,
    passwords: Passwords,
) -> None:
    authenticator = Authenticator(
        repository,
        passwords,
        is_trusted=TrustedProxies(given.trusted_networks).trusts,
        patience_seconds=PATIENCE_SECONDS,
    )
    proxies = TrustedProxies(given.http_proxy_trusted)
    app = create_app(
        repository,
        authenticator,
        passwords,
        is_draining=lifecycle.stopping.is_set,
        proxies=given.http_proxy_trusted,
    )
    (bound,) = sockets
    address = f"http://{display(bound[0].getsockname())}"
    await serve_http(
        app,
        bound,
        stopping=lifecycle.stopping,
        notice_seconds=given.drain_notice_seconds,
        drain_seconds=given.drain_seconds,
        on_started=lambda: lifecycle.ready([("HTTP", address)]),
        is_proxy=proxies.trusts,
    )


def main() -> int:
    """Serve until told to stop, and return the process's exit code."""
    return command_line.run(
        SERVICE, "Serve Peep's settings, users and counters over HTTP.", ApiSettings, serve
    )
