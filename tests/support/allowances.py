"""Allowances of wrong passwords (P18), without the guesses that use them up."""

import redis

from state_store.credentials import attempts
from state_store.redis import keys


def leave_nothing(store: redis.Redis, network: str = "127.0.0.1") -> None:
    """Leave so little to a network that its next answer is free in three seconds, not sooner."""
    seconds, microseconds = store.time()
    whole = round(attempts.BURST * attempts.INTERVAL_SECONDS * 1000)
    key = f"{keys.ALLOWANCE}network {network}"
    store.hset(key, "full_at", seconds * 1000 + microseconds // 1000 + whole)
    store.pexpire(key, whole)
