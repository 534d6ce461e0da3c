"""Allowances of wrong passwords (P18) that are used up."""

import itertools

import redis

from state_store.credentials import attempts
from state_store.credentials.attempts import Attempt, Outcome, RefusalReason, Verdict
from state_store.redis import keys
from state_store.repository import StateRepository

_WHOLE_MS = round(attempts.BURST * attempts.INTERVAL_SECONDS * 1000)


def leave_nothing(store: redis.Redis, network: str = "127.0.0.1") -> None:
    """Leave so little to a network that its next answer is free in three seconds, not sooner."""
    _use_up(store, f"network {network}")


def slow_down(store: redis.Redis, allowance: str, seconds_ago: int, held: int) -> str:
    """Let an allowance have been used up then, and so many attempts held up since; return its id."""
    now = _use_up(store, allowance)
    store.hset(f"{keys.ALLOWANCE}{allowance}", mapping={"since": now - seconds_ago * 1000, "held": held})
    store.zadd(keys.SLOWED, {allowance: now + _WHOLE_MS})
    return attempts.slow_down_id(allowance)


def _use_up(store: redis.Redis, allowance: str) -> int:
    seconds, microseconds = store.time()
    now = seconds * 1000 + microseconds // 1000
    key = f"{keys.ALLOWANCE}{allowance}"
    store.hset(key, "full_at", now + _WHOLE_MS)
    store.pexpire(key, _WHOLE_MS)
    return now


async def use_up(repository: StateRepository, subject: str, network: str) -> None:
    """Guess at somebody until one more has to wait; `{}` in a network is another one at each guess."""
    # However slowly this machine guesses: some of the allowance comes back meanwhile.
    for number in itertools.count():
        attempt = Attempt(subject, network.format(number), f"digest {number}")
        decision = await repository.begin_attempt(attempt)
        if decision.verdict is Verdict.WAIT:
            return
        await repository.end_attempt(attempt, decision, Outcome.WRONG, RefusalReason.WRONG_PASSWORD)
