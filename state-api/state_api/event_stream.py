"""One listener's stream of server-sent events (HTML standard, section 9.2)."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from state_api.event_frames import KEEP_ALIVE, MEDIA_TYPE
from state_api.proof import Proof

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 10.0
"""Proxies close what is silent for longer, some after 30 s; while Redis is away nothing else is sent."""

FLUSH_SECONDS = 0.5
"""How long a client may take to read the last octets of a stream that ends."""

FLUSH_POLL_SECONDS = 0.01

MAX_WAITING_CHUNKS = 64
"""What may be left unread, beside the socket's own buffers: about a minute of counters."""

# At most 18 digits, as many as the store takes in an id.
_ACTIVITY_ID = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")


class EventStream(Response):
    """An answer that sends what is `put` into it, until either side ends it.

    Not the framework's own: that encodes each event for each listener anew, and can neither notice that
    one does not read nor get rid of it.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, proof: Proof, last_event_id: str | None, on_end: Callable[["EventStream"], None]
    ) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.proof = proof
        """Who listens; the stream ends once that no longer holds."""
        self.last_event_id = last_event_id if _ACTIVITY_ID.fullmatch(last_event_id or "") else None
        """The last event that the listener has received; None when there is none."""
        self._on_end = on_end
        self._ended = asyncio.Event()
        self._is_cut_off = False
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        """Chunks to send; an empty one is the end."""

    def put(self, chunk: bytes) -> None:
        """Queue `chunk`; a listener that has left too much unread is cut off instead."""
        if self._queue.qsize() >= MAX_WAITING_CHUNKS:
            self._is_cut_off = True
            self.end()
        elif not self._ended.is_set():
            self._queue.put_nowait(chunk)

    def end(self) -> None:
        """Let the stream end after what is queued."""
        if not self._ended.is_set():
            self._ended.set()
            self._queue.put_nowait(b"")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; return when it is over."""
        sending = asyncio.create_task(self._send(send))
        waits = {
            sending,
            asyncio.create_task(_disconnected(receive)),
            asyncio.create_task(self._ended.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.is_set():
                await self._finish(sending, scope["state"])
            if sending.done():
                sending.result()
        finally:
            self._on_end(self)
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _finish(self, sending: "asyncio.Task[None]", connection: Mapping[str, Any]) -> None:
        if self._is_cut_off:
            log.warning("event stream cut off: its client does not read")
        else:
            await asyncio.wait({sending}, timeout=FLUSH_SECONDS)
        # What was sent may wait in the transport, whose close would wait for the client without end.
        if "abort" in connection and not (sending.done() and await _is_read(connection["unread_octets"])):
            connection["abort"]()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while chunk := await self._next_chunk():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next_chunk(self) -> bytes:
        try:
            async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                return await self._queue.get()
        except TimeoutError:
            return KEEP_ALIVE


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _is_read(unread_octets: Callable[[], int]) -> bool:
    """Return whether the client reads what is left within `FLUSH_SECONDS`."""
    end = asyncio.get_running_loop().time() + FLUSH_SECONDS
    while unread_octets():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(FLUSH_POLL_SECONDS)
    return True
