"""A PEEP gateway on a thread of its own, for programs that the test runs and waits for."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from structlog.testing import capture_logs

from line_server.connection import LineConnection
from line_server.listener import listen
from state_store.records import RENEWAL_SECONDS, Exchange, SessionRow
from state_store.repository import StateRepository
from support.peep_gateway_server import Gateway, pop3_instance, running_gateway
from support.redis_kinds import free_port
from support.redis_server import RedisServer

_INSTANCE = "pop3"
_WAIT_SECONDS = 20

_Result = TypeVar("_Result")


class BackgroundGateway:
    """The gateway, and a POP3 instance that closes the sessions it is told to close."""

    def __init__(self, redis_server: RedisServer) -> None:
        self.redis_server = redis_server
        self.repository = StateRepository(redis_server.url)
        self.address = ("127.0.0.1", 0)
        self._gateway: Gateway
        self._loop = asyncio.new_event_loop()
        self._is_ready = threading.Event()
        self._is_over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine on the gateway's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT_SECONDS)

    def open_session(self, session_id: str, username: str | None, address: str = "192.0.2.1") -> None:
        """Let a POP3 session be open for 100 s already."""
        row = SessionRow(session_id, _INSTANCE, username, address, time.time() - 100)
        self.run(self.repository.exchange(Exchange(_INSTANCE, 0, session_rows=[row])))

    def open_sessions(self) -> list[str]:
        """Return the ids of the open sessions."""
        return [session.session_id for session in self.run(self.repository.sessions())]

    def usernames(self) -> list[str]:
        """Return the POP3 users' names."""
        return self.run(self.repository.usernames())

    def go_away(self) -> None:
        """Break off all connections, and refuse new ones."""
        self.run(self._go_away())

    def come_back(self) -> None:
        """Serve at the same port again."""
        self.run(self._gateway.server.listen(listen(*self.address, "PEEP_PORT")))

    def start(self) -> None:
        """Start it and return when it serves."""
        self._thread.start()
        assert self._is_ready.wait(_WAIT_SECONDS)

    def stop(self) -> None:
        """End it and its thread."""
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        # While it is away, no outgoing connection may be given its port.
        serving = running_gateway(self.repository, port=free_port())
        async with pop3_instance(self.repository, _INSTANCE), serving as gateway:
            self._gateway = gateway
            self.address = gateway.address
            self._is_ready.set()
            while not self._is_over.is_set():
                await self.repository.exchange(Exchange(_INSTANCE, 0))  # renews the lease
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_over.wait(), RENEWAL_SECONDS)
        await self.repository.close()

    async def _go_away(self) -> None:
        await self._gateway.server.drain(0, LineConnection.abort)


@contextmanager
def background_gateway() -> Iterator[BackgroundGateway]:
    """Run a gateway over a server of its own as long as it is needed."""
    # What it logs is none of the output of a command that runs in this process.
    with RedisServer() as redis_server, capture_logs():
        gateway = BackgroundGateway(redis_server)
        gateway.start()
        try:
            yield gateway
        finally:
            gateway.stop()
