"""First logins after a restart cost 20 ms each, and delay nobody whose password is remembered."""

from pathlib import Path

import pytest

from load import Load
from studies.restart_storm import KNOWN, LIMIT, known_users, measure_storm
from support.benchmark_options import benchmark_options

OTHERS = 500
CONNECTIONS = 100
ROUNDS = 3
SECONDS = 3.0


@pytest.mark.timeout(180)
def test_known_users_wait_less_than_four_times_as_long_in_a_storm_of_first_logins(tmp_path: Path) -> None:
    options = benchmark_options(tmp_path, ROUNDS, SECONDS)
    with known_users(options, OTHERS) as server:
        storm = Load("auth", CONNECTIONS, only_users=(KNOWN, OTHERS))
        rounds = [measure_storm(options, server, storm, seconds=SECONDS) for _ in range(ROUNDS)]
    for each in rounds:
        print(
            f"p99 {each.calm.p99_ms:.1f} and {each.stormy.p99_ms:.1f} ms, "
            f"{each.first_logins_a_second:.0f} first logins a second"
        )
        assert each.calm.failed == each.stormy.failed == 0
        assert each.first_logins_a_second > 0, "there was no storm"
    # The best round: other work on the machine makes a round worse, and none better.
    assert min(each.ratio for each in rounds) < LIMIT
