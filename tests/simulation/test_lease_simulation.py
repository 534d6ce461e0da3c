"""Leases, locks and counts hold over many schedules of faults, each made from its seed.

`PEEP_SIMULATION_SCHEDULES` says how many, `PEEP_SIMULATION_SEED` with which seed they begin: a failure
names its seed, and a run of one schedule from that seed is the same again.
"""

import logging
import os
from collections.abc import Callable, Iterator
from random import Random
from types import SimpleNamespace

import pytest
import structlog

from simulation.network import ScriptServer
from simulation.world import World
from state_store.instance import changes, exchanges, lease
from support.redis_server import RedisServer

SCHEDULES = int(os.environ.get("PEEP_SIMULATION_SCHEDULES", "300"))
FIRST_SEED = int(os.environ.get("PEEP_SIMULATION_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + SCHEDULES)
BATCH = 100
"""Schedules in one test: about a second."""

EVENTS = [
    "is granted to",
    "removes",
    "quits: +OK",
    "quits: -ERR some remain",
    "quits: -ERR [SYS/TEMP]",
    "lapsed",
    "is paused",
    "is cut off",
    "is killed",
    "is stopped",
    "the server goes down",
    "the clock of the server steps by 3600",
    "the clock of the server steps by -60",
    "lost request",
    "lost answer",
    ": late",
    ": twice",
    "arrives",
]

RunSchedule = Callable[[int], list[str]]


@pytest.fixture(scope="module")
def script_server() -> Iterator[ScriptServer]:
    with RedisServer() as server:
        with server.client() as client:
            client.config_set("appendonly", "no")
        scripts = ScriptServer(server.socket)
        yield scripts
        scripts.close()


@pytest.fixture(scope="module")
def run_schedule(script_server: ScriptServer) -> Iterator[RunSchedule]:
    """Give what runs the schedule of a seed and returns its story; all that is random comes from the seed."""
    with pytest.MonkeyPatch.context() as patch:
        silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
        for module in (changes, exchanges, lease):
            patch.setattr(module, "log", structlog.wrap_logger(None, wrapper_class=silent))

        def run(seed: int) -> list[str]:
            random = Random(seed)
            patch.setattr(exchanges, "random", random)
            identifiers = SimpleNamespace(token_hex=lambda octets: random.randbytes(octets).hex())
            patch.setattr(lease, "secrets", identifiers)
            world = World(seed, script_server)
            world.run()
            return world.story

        yield run


def test_same_seed_gives_the_same_schedule(run_schedule: RunSchedule) -> None:
    stories = [run_schedule(seed) for seed in (1, 2, 3, 1, 2, 3)]
    assert stories[:3] == stories[3:]
    assert stories[0] != stories[1]


def test_schedules_contain_every_kind_of_event(run_schedule: RunSchedule) -> None:
    missing = set(EVENTS)
    for seed in range(200):
        story = run_schedule(seed)
        missing -= {event for event in missing if any(event in line for line in story)}
        if not missing:
            return
    assert missing == set(), "in 200 schedules"


@pytest.mark.parametrize("first_seed", SEEDS[::BATCH])
def test_leases_locks_and_counts_hold_over_all_schedules(first_seed: int, run_schedule: RunSchedule) -> None:
    for seed in range(first_seed, min(first_seed + BATCH, SEEDS.stop)):
        run_schedule(seed)
