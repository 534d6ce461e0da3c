"""A search through as many refusals as there may be costs no more work than it has to, whatever it finds.

What it costs is counted: times would say how fast the machine is.
"""

import time

import pytest
import redis

from state_store.redis import keys
from state_store.refusals import MOST_REFUSALS, RefusalKind, refusal_id
from state_store.repository import StateRepository
from support.function_calls import function_calls

MOST_CALLS = 5000
"""Of functions, for a page of 101. Measured: 2,300; 25,300 while all that was found was taken apart."""


def fill(server: redis.Redis) -> int:
    """Ban as many networks as may be banned, and return the octets of all rows."""
    networks = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(MOST_REFUSALS)]
    rows = {
        refusal_id(RefusalKind.BAN, network): (
            f"ban\n{network}\n1764233674002\n0\nroot\ntoo many guesses from {network}"
        )
        for network in networks
    }
    server.hset(keys.REFUSALS, items=[word for row in rows.items() for word in row])
    server.zadd(keys.REFUSAL_NAMES, {f"ban {network}": 0 for network in networks})
    return sum(map(len, rows.values()))


@pytest.mark.parametrize(("text", "number"), [("10.7.", 101), ("guesses", 101), ("nowhere", 0)])
async def test_a_search_asks_the_store_twice_and_takes_a_page_of_rows_apart(
    repository: StateRepository, behind_the_scenes: redis.Redis, text: str, number: int
) -> None:
    octets = fill(behind_the_scenes)
    await repository.refusals(1, text="nowhere")  # loads the scripts
    behind_the_scenes.config_resetstat()
    began = time.process_time()
    with function_calls() as calls:
        page = await repository.refusals(101, text=text, after="ban 10.0.255.0/24")
    seconds = time.process_time() - began
    assert len(page.refusals) == number
    assert page.refusals == sorted(page.refusals, key=lambda one: one.subject)

    commands, sent = behind_the_scenes.info("commandstats"), behind_the_scenes.info("stats")
    print(
        f"{seconds * 1000:.1f} ms, and {commands['cmdstat_hvals']['usec'] / 1000:.1f} ms of Redis; "
        f"{calls.number} calls"
    )
    asked = {name: commands.get(f"cmdstat_{name}", {}).get("calls") for name in ("evalsha", "hvals")}
    assert asked == {"evalsha": 1, "hvals": 1}
    assert calls.number < MOST_CALLS
    assert sent["total_net_output_bytes"] < 1.2 * octets
