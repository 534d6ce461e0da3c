"""A search through as many refusals as there may be: how long it takes, and holds Redis up."""

import time

import redis

from state_store.redis import keys
from state_store.refusals import MOST_REFUSALS, RefusalKind, refusal_id
from state_store.repository import StateRepository

SEARCH_SECONDS = 0.05
STEP_SECONDS = 0.005


def fill(server: redis.Redis) -> None:
    networks = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(MOST_REFUSALS)]
    pipe = server.pipeline(transaction=False)
    for network in networks:
        row = f"ban\n{network}\n1764233674002\n0\nroot\ntoo many guesses from {network}"
        pipe.hset(keys.REFUSALS, refusal_id(RefusalKind.BAN, network), row)
    pipe.zadd(keys.REFUSAL_NAMES, {f"ban {network}": 0 for network in networks})
    pipe.execute()


async def test_a_search_takes_less_than_50_ms_and_no_step_of_it_holds_redis_up(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    fill(behind_the_scenes)
    await repository.refusals(1, text="nowhere")  # loads the scripts
    behind_the_scenes.config_resetstat()

    async def taken(text: str, number: int) -> float:
        began = time.process_time(), used_by(behind_the_scenes)
        page = await repository.refusals(101, text=text, after="ban 10.0.255.0/24")
        seconds = time.process_time() - began[0] + used_by(behind_the_scenes) - began[1]
        assert len(page.refusals) == number
        assert page.refusals == sorted(page.refusals, key=lambda one: one.subject)
        return seconds

    searches = (("10.7.", 101), ("guesses", 101), ("nowhere", 0))
    # The least of three: what else runs on the machine only adds to it.
    least = [min([await taken(*search) for _ in range(3)]) for search in searches]
    print("search", [f"{one * 1000:.1f} ms" for one in least])
    assert max(least) < SEARCH_SECONDS
    script = behind_the_scenes.info("commandstats")["cmdstat_evalsha"]
    assert script["usec"] / script["calls"] < STEP_SECONDS * 1e6


def used_by(server: redis.Redis) -> float:
    """Return the seconds of processor time that Redis has used."""
    found = server.info("cpu")
    return float(found["used_cpu_sys"]) + float(found["used_cpu_user"])
