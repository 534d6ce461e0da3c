"""The store's channel to the instances, as an endless stream of notifications."""

import asyncio
import random
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from state_store.errors import StateError
from state_store.records import Notification, NotificationKind
from state_store.redis import keys
from state_store.redis.client import RedisClient, Subscription

SILENCE_SECONDS = 3.0
"""After so long without a message the connection is tested with PING; after twice that it is replaced."""

LONGEST_PAUSE_SECONDS = 1.0


async def notifications(client: RedisClient) -> AsyncIterator[Notification]:
    """Yield what is published, for ever; `RECONNECTED` first and after every `DISCONNECTED`."""
    pause = 0.02
    while True:
        subscription: Subscription | None = None
        try:
            subscription = await client.subscribe(keys.EVENTS)
            pause = 0.02
            yield Notification(NotificationKind.RECONNECTED)
            async for message in _messages(client, subscription):
                if (notification := parse(message)) is not None:
                    yield notification
        except (StateError, RedisError, OSError):
            yield Notification(NotificationKind.DISCONNECTED)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        finally:
            if subscription is not None:
                await subscription.close()


def parse(message: str) -> Notification | None:
    """Return the notification that a message of the channel stands for; None for one of a later version."""
    kind, _, rest = message.partition(" ")
    identifier, _, path = rest.partition(" ")
    try:
        return Notification(NotificationKind(kind), identifier, path)
    except ValueError:
        return None


async def _messages(client: RedisClient, subscription: Subscription) -> AsyncIterator[str]:
    is_asked = False
    while True:
        message = await subscription.next_message(SILENCE_SECONDS)
        if message is not None:
            is_asked = False
            if message:
                yield message
        elif is_asked:
            raise ConnectionResetError("the subscription is dead")
        else:
            is_asked = True
            await subscription.ping()
        if client.has_left(subscription):
            raise ConnectionResetError("a failover went past the subscription")
