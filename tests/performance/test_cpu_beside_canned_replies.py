"""The whole server's CPU time a session, Valkey included, beside a server that only sends canned replies.

Both are measured in turns within a second of each other, so a machine that is slow, or busy with other
work, is so for both. The limits leave room for what is left of the noise; what they notice is a session
that became half as dear again.
"""

from collections.abc import Iterator
from statistics import median

import pytest

import load
import maildrops
from canned_server import CannedServer
from contenders import Contenders, running
from load import Load
from peep_server import PeepServer
from sections import Options
from support.benchmark_options import benchmark_options

ROUNDS = 5
SECONDS = 1.0

LARGEST_RATIOS = {"check": 12.0, "fetch": 13.0}
"""Measured with CPython 3.11 without profile-guided optimisation: medians of 6.5 to 8.4, and 7.7 to 8.6."""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    return benchmark_options(tmp_path_factory.mktemp("load"), ROUNDS, SECONDS)


@pytest.fixture(scope="module")
def contenders(options: Options) -> Iterator[Contenders]:
    """Give both servers, every user logged in once, and every maildrop remembered."""
    mail = maildrops.lifelike(options.folder / "mail")
    with running(options, mail, (PeepServer, CannedServer)) as found:
        for server in found.servers.values():
            load.run(options, server, Load("auth", is_once=True))
            load.run(options, server, Load("check"), seconds=4 * SECONDS)
        yield found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", LARGEST_RATIOS)
def test_a_session_costs_no_more_than_so_many_canned_ones(
    options: Options, contenders: Contenders, mode: str
) -> None:
    ours, theirs = contenders.servers[PeepServer.name], contenders.servers[CannedServer.name]
    ratios = []
    for _ in range(ROUNDS):
        runs = [load.run(options, server, Load(mode)) for server in (theirs, ours)]
        assert [run.failed for run in runs] == [0, 0], [run.first_error for run in runs]
        ratios.append(runs[1].cpu_microseconds / runs[0].cpu_microseconds)
    print(mode, *(f"{ratio:.1f}" for ratio in ratios))
    assert median(ratios) < LARGEST_RATIOS[mode], ratios
