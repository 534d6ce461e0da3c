"""How long an exchange waits for what else arrives: counted in turns of the event loop, not in time."""

import asyncio
import itertools

from state_store.instance.pacing import SPACING_SECONDS, Pacing
from support.stopped_clock import StoppedClock

TURNS = 3
"""One to see whether others are at work, and those that a task needs to begin and to end."""


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_work_of_a_lone_client_waits_one_turn_even_right_after_an_exchange() -> None:
    pacing = Pacing(lambda: 1, StoppedClock())
    for _ in range(3):
        gathering = asyncio.create_task(pacing.gather())
        await turns(TURNS)
        assert gathering.done()


async def test_exchange_waits_while_others_bring_work_until_the_spacing_is_over() -> None:
    clock, noted = StoppedClock(), itertools.count()
    pacing = Pacing(lambda: next(noted), clock)
    await pacing.gather()
    gathering = asyncio.create_task(pacing.gather())
    await turns(10 * TURNS)
    assert not gathering.done()
    clock.seconds += SPACING_SECONDS
    await asyncio.wait_for(gathering, 20)


async def test_exchange_begins_a_step_after_the_last_work_has_come() -> None:
    clock, noted = StoppedClock(), iter([1, 2, 3, 3])  # at each look
    pacing = Pacing(lambda: next(noted), clock)
    await pacing.gather()
    await asyncio.wait_for(pacing.gather(), 20)
    assert next(noted, None) is None
