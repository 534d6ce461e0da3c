"""First logins after a restart cost 20 ms each, and delay nobody whose password is remembered."""

from pathlib import Path

import pytest

from load import Load
from studies.restart_storm import KNOWN, LIMIT, known_users, measure_storm
from support.benchmark_options import benchmark_options

OTHERS = 500
CONNECTIONS = 100
ROUNDS = 3
MOST_ROUNDS = 12
SECONDS = 3.0


@pytest.mark.timeout(900)
def test_known_users_wait_less_than_four_times_as_long_in_a_storm_of_first_logins(tmp_path: Path) -> None:
    options = benchmark_options(tmp_path, ROUNDS, SECONDS)
    calm, stormy = list[float](), list[float]()
    with known_users(options, OTHERS) as server:
        storm = Load("auth", CONNECTIONS, only_users=(KNOWN, OTHERS))
        for _ in range(MOST_ROUNDS):
            each = measure_storm(options, server, storm, seconds=SECONDS)
            print(
                f"p99 {each.calm.p99_ms:.1f} and {each.stormy.p99_ms:.1f} ms, "
                f"{each.first_logins_a_second:.0f} first logins a second"
            )
            assert each.calm.failed == each.stormy.failed == 0
            calm.append(each.calm.p99_ms)
            if each.first_logins_a_second > 0:
                stormy.append(each.stormy.p99_ms)
            # The best of each: other work on the machine adds to what clients wait, and takes nothing away.
            # More rounds are made where three are not enough; none of them helps where the storm delays.
            if len(stormy) >= ROUNDS and min(stormy) < LIMIT * min(calm):
                break
    assert stormy, "there was no storm"
    assert min(stormy) < LIMIT * min(calm)
