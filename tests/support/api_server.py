"""The HTTP application behind a real socket in this process, and clients that listen to its events."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from line_server.listener import listen
from state_api.connection_limits import ConnectionLimits
from state_api.http_connection import TimeLimits
from state_api.serving import serve_http
from state_store.credentials.authentication import Authenticator
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_application import application
from support.api_client import ADMINISTRATOR, BASIC, administrator_hash, passwords

ANSWER_SECONDS = 20

# Made once: each client would read the certificates of all authorities.
_NO_TLS = ssl.create_default_context()


@dataclass(frozen=True)
class StreamedEvent:
    """One event as a browser would hand it out; what has no name is only an id, or nothing at all."""

    name: str
    data: Any
    event_id: str


class EventReader:
    """Reads one stream of events as the HTML standard says, and remembers the last id."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.last_event_id = ""
        self.comments: list[str] = []
        self._lines = response.aiter_lines()

    async def next(self) -> StreamedEvent:
        """Return the next block. Raises `StopAsyncIteration` when the stream is over."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(ANSWER_SECONDS):
            while line := await anext(self._lines):
                name, _, value = line.partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                else:
                    self.comments.append(value)
        self.last_event_id = fields.get("id", self.last_event_id)
        data = json.loads(fields["data"]) if "data" in fields else None
        return StreamedEvent(fields.get("event", ""), data, fields.get("id", ""))

    async def until(self, *names: str) -> StreamedEvent:
        """Return the next event of one of these names; what comes before it is dropped."""
        while (event := await self.next()).name not in names:
            pass
        return event

    async def to_the_end(self) -> list[StreamedEvent]:
        """Return all that still comes."""
        events = []
        try:
            while True:
                events.append(await self.next())
        except StopAsyncIteration:
            return events


@asynccontextmanager
async def listening(client: httpx.AsyncClient, last_event_id: str = "") -> AsyncIterator[EventReader]:
    """Listen to the events until the block ends."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with client.stream("GET", "/v1/events", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield EventReader(response)


@dataclass(frozen=True)
class ApiServer:
    """A server, a client of it, and the event that tells it to stop."""

    client: httpx.AsyncClient
    stopping: asyncio.Event
    serving: "asyncio.Task[None]"
    connection_limits: ConnectionLimits

    @property
    def port(self) -> int:
        port = self.client.base_url.port
        assert port is not None
        return port

    def connections(self) -> int:
        """Return how many connections it has."""
        return len(self.connection_limits)


@asynccontextmanager
async def api_server(
    repository: StateRepository,
    *,
    send_buffer: int | None = None,
    time_limits: TimeLimits = TimeLimits(),  # noqa: B008
) -> AsyncIterator[ApiServer]:
    """Serve `repository` on a free port, as the program does, until the block ends.

    With a `send_buffer` the system keeps so many octets for a client that does not read.
    """
    await repository.replace_administrators({ADMINISTRATOR: administrator_hash()}, by=OPERATOR)
    stopping, started = asyncio.Event(), asyncio.Event()
    connection_limits = ConnectionLimits()
    authenticator = Authenticator(repository, passwords(), patience_seconds=0.1)
    with application(repository, authenticator, passwords(), is_draining=stopping.is_set) as app:
        sockets = listen("127.0.0.1", 0, "a port")
        if send_buffer is not None:
            sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        serving = asyncio.create_task(
            serve_http(
                app,
                sockets,
                stopping=stopping,
                notice_seconds=0,
                drain_seconds=30,
                on_started=started.set,
                time_limits=time_limits,
                connection_limits=connection_limits,
            )
        )
        await started.wait()
        address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        try:
            async with httpx.AsyncClient(
                base_url=address, auth=BASIC, timeout=ANSWER_SECONDS, verify=_NO_TLS
            ) as client:
                yield ApiServer(client, stopping, serving, connection_limits)
        finally:
            stopping.set()
            await serving
