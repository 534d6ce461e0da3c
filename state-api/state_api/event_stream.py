"""An answer that goes on: server-sent events (HTML standard, section 9.2) to one listener."""

import asyncio
from collections.abc import Callable

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from state_api.event_feed import EventFeed
from state_api.event_frames import KEEP_ALIVE, MEDIA_TYPE
from state_api.event_subscription import Subscription

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 10.0
"""Proxies close what is silent for longer, some after 30 s; while Redis is away nothing else is said."""

FLUSH_SECONDS = 0.5
"""How long the last octets of a stream that ends may take to leave."""


class EventStream(Response):
    """Sends what its subscription is given, until either side ends it.

    Not the framework's own: that encodes each event for each listener anew, and can neither notice that
    one does not read nor get rid of it.
    """

    media_type = MEDIA_TYPE

    def __init__(self, feed: EventFeed, subscription: Subscription) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._feed = feed
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; returns when it is over."""
        sending = asyncio.create_task(self._send(send))
        waits = {
            sending,
            asyncio.create_task(_disconnected(receive)),
            asyncio.create_task(self._subscription.ended.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._subscription.ended.is_set():
                await self._finish(sending, scope["state"].get("abort"))
            if sending.done():
                sending.result()
        finally:
            self._feed.leave(self._subscription)
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _finish(self, sending: "asyncio.Task[None]", abort: Callable[[], None] | None) -> None:
        if self._subscription.is_cut_off:
            log.warning("event stream cut off: its client does not read")
        else:
            await asyncio.wait({sending}, timeout=FLUSH_SECONDS)
        if abort is not None and not sending.done():
            abort()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while (chunk := await self._subscription.next_chunk(KEEP_ALIVE_SECONDS)) is not None:
            await send({"type": "http.response.body", "body": chunk or KEEP_ALIVE, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
