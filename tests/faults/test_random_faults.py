"""Random faults, while clients read and delete: no mail is lost, no count wrong, nothing left behind."""

import os
import random
from pathlib import Path

import pytest

from support.fault_world import FaultWorld, Schedule

ROUNDS = int(os.environ.get("PEEP_FAULT_ROUNDS", "1"))
SECONDS = float(os.environ.get("PEEP_FAULT_SECONDS", "0"))
"""How long faults happen in each run; 0 is each schedule's own time."""

REDIS = ("restart_redis", "pause_redis", "cut_connections", "cut_connections", "fill_redis", "demote_redis")
SERVICES = ("kill_worker", "kill_service", "kill_supervisor", "stop_worker", "terminate_service")
MAIL = ("deliver",) * 12 + ("move_to_cur",) * 4 + ("forbid_removal",)

SCHEDULES = [
    # Polite clients and no worker killed outright: every counter is right to the octet.
    Schedule("redis goes away", redis=(*REDIS, "pause_redis_longer"), mail=MAIL, is_polite=True),
    Schedule(
        "workers die", services=("kill_worker", "kill_worker", "kill_service", "stop_worker"), mail=MAIL
    ),
    Schedule("services are restarted in good order", ("terminate_service", "kill_supervisor"), REDIS, MAIL),
    Schedule("everything", SERVICES, REDIS, MAIL, seconds=12.0),
    Schedule("a worker sleeps too long", ("stop_worker_beyond_its_lease",), mail=MAIL, seconds=18.0),
]


def seeds() -> list[int]:
    """Return the seed that was asked for, or new ones: a failure prints its own."""
    wanted = os.environ.get("PEEP_FAULT_SEED")
    return [int(wanted)] if wanted else [random.randrange(10**6) for _ in range(ROUNDS)]


@pytest.mark.timeout(ROUNDS * (100 + 3 * SECONDS))
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name.replace(" ", "-"))
def test_clients_maildirs_and_counters_agree_whatever_happens(tmp_path: Path, schedule: Schedule) -> None:
    for number, seed in enumerate(seeds()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with FaultWorld(folder, schedule, seed, SECONDS or schedule.seconds) as world:
            world.run()
