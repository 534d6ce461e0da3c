"""What a client may ask for before it logs in: figures, not sockets."""

import pytest

from line_server import budget
from line_server.budget import (
    FREE_LINES,
    LINE_OCTETS,
    MOST_LINES,
    NETWORK_LINES,
    NETWORK_SECONDS,
    Allowances,
    Budget,
)
from support.stopped_clock import StoppedClock


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def allowances(clock: StoppedClock) -> Allowances:
    return Allowances(clock)


def lines_answered(allowances: Allowances, address: str = "192.0.2.1", octets: int = 4) -> int:
    """Return how many lines one new connection has answered before it is to end."""
    one = Budget(allowances, address, lambda address: address.partition(":")[0])
    answered = 0
    while one.spend(octets):
        answered += 1
        assert answered <= MOST_LINES
    return answered


def test_one_connection_has_so_many_lines(allowances: Allowances) -> None:
    assert lines_answered(allowances) == MOST_LINES


def test_long_lines_count_for_as_many_as_their_octets_are(allowances: Allowances) -> None:
    assert lines_answered(allowances, octets=LINE_OCTETS - 1) == MOST_LINES
    assert lines_answered(allowances, octets=LINE_OCTETS) == MOST_LINES // 2
    assert lines_answered(allowances, octets=12_288) == MOST_LINES // 13


def test_a_network_that_has_used_up_its_allowance_keeps_the_free_lines(allowances: Allowances) -> None:
    total = sum(lines_answered(allowances, f"network:{number}") for number in range(100))
    assert total == 100 * FREE_LINES + NETWORK_LINES
    assert lines_answered(allowances, "network:100") == FREE_LINES
    assert lines_answered(allowances, "elsewhere:1") == MOST_LINES


def test_an_allowance_is_there_again_after_a_while(allowances: Allowances, clock: StoppedClock) -> None:
    for _ in range(100):
        lines_answered(allowances)
    clock.seconds += NETWORK_SECONDS - 0.1
    assert lines_answered(allowances) == FREE_LINES
    clock.seconds += 0.1
    assert lines_answered(allowances) == MOST_LINES


def test_every_honest_login_fits_into_what_is_free() -> None:
    # CAPA, STLS, CAPA, UTF8, LANG, AUTH alone and three lines of SCRAM, then USER and PASS after all.
    assert budget.FREE_LINES >= 2 * 11 - 2
    # Ten wrong passwords, four lines each.
    assert budget.MOST_LINES >= 10 * 4
