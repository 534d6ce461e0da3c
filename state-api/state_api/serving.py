"""uvicorn inside our process, with our sockets, signals and logs."""

import asyncio
import contextlib
import functools
import logging
import math
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn
from fastapi import FastAPI

from line_server.listener import BACKLOG
from state_api.connection_limits import ConnectionLimits
from state_api.http_connection import HttpConnection, TimeLimits
from state_store.credentials.networks import network_of

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the process has its own, which set `should_exit`."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and call `on_started`."""
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield


class LogBridge(logging.Handler):
    """Hands uvicorn's records of `logging` on to our structured log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record with its level."""
        log.log(record.levelno, record.getMessage(), logger=record.name)


async def serve_http(
    app: FastAPI,
    sockets: list[socket.socket],
    *,
    stopping: asyncio.Event,
    notice_seconds: float,
    drain_seconds: float,
    on_started: Callable[[], None],
    time_limits: TimeLimits = TimeLimits(),  # noqa: B008 - frozen
    connection_limits: ConnectionLimits | None = None,
    is_proxy: Callable[[str], bool] = lambda _address: False,
) -> None:
    """Serve `app` on bound sockets until `notice_seconds` after `stopping`.

    Requests that have begun then have `drain_seconds` to finish. The limit of one network's connections does
    not hold for an address that `is_proxy`: many clients connect by way of it.
    """
    make_connection = functools.partial(
        HttpConnection,
        connection_limits=connection_limits if connection_limits is not None else ConnectionLimits(),
        time_limits=time_limits,
        network_of=lambda address: None if is_proxy(address) else network_of(address),
    )
    server = Server(_configuration(app, make_connection, drain_seconds), on_started)
    watcher = asyncio.create_task(_exit_when(stopping, notice_seconds, server))
    try:
        await server.serve(sockets)
    finally:
        watcher.cancel()


async def _exit_when(stopping: asyncio.Event, notice_seconds: float, server: Server) -> None:
    await stopping.wait()
    await asyncio.sleep(notice_seconds)
    server.should_exit = True


def _configuration(
    app: FastAPI, make_connection: Callable[..., asyncio.Protocol], drain_seconds: float
) -> uvicorn.Config:
    uvicorn_log = logging.getLogger("uvicorn")
    uvicorn_log.handlers = [LogBridge()]
    uvicorn_log.setLevel(logging.WARNING)
    uvicorn_log.propagate = False
    return uvicorn.Config(
        app,
        # Any callable will do, though its type is narrower.
        http=make_connection,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # The application has its own list of trusted proxies; uvicorn would trust this machine.
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(drain_seconds),
    )
