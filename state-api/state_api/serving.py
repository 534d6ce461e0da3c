"""uvicorn as a part of our process: our sockets, our signals, our logs."""

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from line_server.listener import BACKLOG

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Longer than the minute at which most monitoring asks again: its connection lasts."""


class Server(uvicorn.Server):
    """uvicorn's server without signal handlers: the process has its own, and tells us with `should_exit`."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield


class Protocol(H11Protocol):
    """uvicorn's protocol; its requests can end their connection at once with `state["abort"]`.

    ASGI only knows a close that first waits until the client has read what was written.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}


class LogBridge(logging.Handler):
    """Takes what uvicorn says through `logging` into our structured log."""

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
) -> None:
    """Serve `app` on bound sockets until `notice_seconds` after `stopping`; then requests may only finish.

    They have `drain_seconds` for that.
    """
    server = Server(_configuration(app, drain_seconds), on_started)
    watcher = asyncio.create_task(_exit_when(stopping, notice_seconds, server))
    try:
        await server.serve(sockets)
    finally:
        watcher.cancel()


async def _exit_when(stopping: asyncio.Event, notice_seconds: float, server: Server) -> None:
    await stopping.wait()
    await asyncio.sleep(notice_seconds)
    server.should_exit = True


def _configuration(app: FastAPI, drain_seconds: float) -> uvicorn.Config:
    uvicorn_log = logging.getLogger("uvicorn")
    uvicorn_log.handlers = [LogBridge()]
    uvicorn_log.setLevel(logging.WARNING)
    uvicorn_log.propagate = False
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # X-Forwarded-For would let anybody choose the address that the rule for wrong passwords counts.
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(drain_seconds),
    )
