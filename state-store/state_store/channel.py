"""The store's channel of changes, as an endless stream of events."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

from redis.exceptions import RedisError

from state_store import keys
from state_store.link import RedisLink
from state_store.records import Event, EventKind

SILENCE_SECONDS = 3.0
"""After so long without a word we ask whether the connection lives; after twice that it is made anew."""

LONGEST_PAUSE_SECONDS = 1.0


async def events(link: RedisLink) -> AsyncIterator[Event]:
    """Yield what is published, for ever; `RECONNECTED` first, and after every `DISCONNECTED`."""
    pause = 0.02
    while True:
        subscription = link.subscription()
        try:
            await subscription.subscribe(keys.EVENTS)
            pause = 0.02
            yield Event(EventKind.RECONNECTED)
            async for message in _messages(subscription):
                yield parse(message)
        except (RedisError, OSError):
            yield Event(EventKind.DISCONNECTED)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]


def parse(message: str) -> Event:
    """Return the event that a message of the channel stands for."""
    kind, _, rest = message.partition(" ")
    proposal_id, _, path = rest.partition(" ")
    return Event(EventKind(kind), proposal_id, path)


async def _messages(subscription: Any) -> AsyncIterator[str]:
    is_asked = False
    while True:
        message = await subscription.get_message(timeout=SILENCE_SECONDS)
        if message is not None:
            is_asked = False
            if message["type"] == "message":
                yield message["data"]
        elif is_asked:
            raise ConnectionResetError("the subscription is dead")
        else:
            is_asked = True
            await subscription.ping()
