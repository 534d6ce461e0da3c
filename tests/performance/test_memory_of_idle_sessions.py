"""What a session that is logged in and waits takes of the whole server's memory, Valkey included."""

from pathlib import Path

import pytest

import machine
import maildrops
from idle_sessions import LIMIT_KILOBYTES, measure_one
from peep_server import EVERYBODY, PeepServer
from servers import Site
from support.benchmark_options import benchmark_options

SESSIONS = 10_000
"""So many that other Pythons, which share 4 MB with the server and begin or end meanwhile, hardly matter."""


@pytest.mark.timeout(900)
def test_an_idle_session_takes_no_more_memory_than_it_should(tmp_path: Path) -> None:
    """Measured with Debian's CPython 3.11: 5.9 kB, on a busy machine 5.4 to 6.2."""
    options = benchmark_options(tmp_path, rounds=1, seconds=1.0)
    machine.raise_file_limit()
    mail = maildrops.small(options.folder / "mail", users=SESSIONS, messages=2)
    site = Site(
        options.folder / "peep", mail.folder, mail.users, frozenset({options.server_core}), options.programs
    )
    with PeepServer(site, has_cheap_hashes=True, trusted_networks=EVERYBODY) as server:
        idle = measure_one(options, server, SESSIONS)
    print(f"{idle.octets_each:.0f} octets a session, {idle.before / 1e6:.1f} MB before them")
    assert idle.octets_each < 1e3 * LIMIT_KILOBYTES
