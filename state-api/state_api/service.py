"""Builds state-api from its settings, and runs it."""

import asyncio
import functools

from line_server.activation import Endpoint
from line_server.listener import display
from line_server.proxy_header import TrustedProxies
from service_runtime import process
from service_runtime.front_end import FrontEnd, serve_front_end
from service_runtime.lifecycle import Lifecycle
from service_runtime.settings import ApiSettings
from state_api.app import create_app
from state_api.health_report import current_checks
from state_api.health_watch import HealthWatch
from state_api.serving import serve_http

SERVICE = "state-api"

PATIENCE_SECONDS = 1.0
"""How long a request may wait for its turn to have a password checked (P18). After that the answer says when
to try again: a client that has gone meanwhile holds up the others for no longer."""


async def serve(settings: ApiSettings, lifecycle: Lifecycle) -> None:
    """Serve HTTP until the process is asked to stop. Raises `StartError` when that cannot begin."""
    await serve_front_end(
        SERVICE,
        settings,
        lifecycle,
        [Endpoint("http", settings.http_host, settings.http_port, "PEEP_HTTP_PORT")],
        functools.partial(_serve, settings, lifecycle),
        patience_seconds=PATIENCE_SECONDS,
    )


async def _serve(settings: ApiSettings, lifecycle: Lifecycle, front_end: FrontEnd) -> None:
    app = create_app(
        front_end.repository,
        front_end.authenticator,
        front_end.passwords,
        is_draining=lifecycle.stopping.is_set,
        proxies=settings.http_proxy_trusted,
        metrics_need_token=settings.metrics_need_token,
    )
    (sockets,) = front_end.sockets
    address = f"http://{display(sockets[0].getsockname())}"
    watch = HealthWatch(front_end.repository, functools.partial(current_checks, front_end.repository))
    watching = asyncio.create_task(watch.run())
    try:
        await serve_http(
            app,
            sockets,
            stopping=lifecycle.stopping,
            notice_seconds=settings.drain_notice_seconds,
            drain_seconds=settings.drain_seconds,
            on_started=lambda: lifecycle.ready([("HTTP", address)]),
            is_proxy=TrustedProxies(settings.http_proxy_trusted).trusts,
        )
    finally:
        watching.cancel()


def main() -> int:
    """Serve until asked to stop, and return the process's exit code."""
    return process.run(SERVICE, "Serve Peep's settings, users and counters over HTTP.", ApiSettings, serve)
