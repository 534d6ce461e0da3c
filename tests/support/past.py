"""A year of history, written into a store as instances would have written it."""

import math
import time

import redis

from state_store.history import RECORD, RINGS
from state_store.latency import BOUNDS
from state_store.redis import keys

CONNECTIONS_AT_MOST = 60
INSTANCES = 1


def write_past(redis_url: str) -> None:
    """Let a server with a busy noon have run for a year."""
    now = time.time()
    with redis.Redis.from_url(redis_url) as store:
        for ring in RINGS:
            packed = bytearray(ring.length * RECORD.size)
            for number in range(ring.length):
                at = (now // ring.step - number) * ring.step
                place = int(at // ring.step) % ring.length
                packed[place * RECORD.size : (place + 1) * RECORD.size] = _sample(at)
            store.set(f"{keys.HISTORY}{ring.step}", bytes(packed))


def _sample(at: float) -> bytes:
    busy = 0.5 - 0.5 * math.cos(at / 86_400 * 2 * math.pi)  # least at midnight
    connections = round(CONNECTIONS_AT_MOST * busy)
    seconds = round(at) - 1_700_000_000
    buckets = [seconds * (bucket in (2, 3, 6)) % 2**32 for bucket in range(2 * (len(BOUNDS) + 1))]
    counters = (seconds * 2000, seconds // 10, seconds // 20, seconds // 5, seconds // 6, seconds // 900)
    return RECORD.pack(
        round(at * 1000), connections, connections // 2, INSTANCES, 250, 800, 1200, *counters, *buckets
    )
