"""Places for HTTP connections: who gives way, and who cannot be made to."""

import resource

import pytest
from structlog.testing import capture_logs

from state_api.places import (
    MAX_PLACES,
    RESERVED_DESCRIPTORS,
    SPARE_PLACES,
    Places,
    Standing,
    places_of_process,
)


class Connection:
    """Somebody who may have a place."""

    def __init__(self) -> None:
        self.has_given_up = False

    def give_up_place(self) -> None:
        self.has_given_up = True


def enter(places: Places, number: int, network: str | None = None) -> list[Connection]:
    """Let so many in who may ask anything."""
    connections = [Connection() for _ in range(number)]
    for connection in connections:
        assert places.enter(connection, network) is Standing.ANYTHING
    return connections


def gone(connections: list[Connection]) -> list[bool]:
    return [connection.has_given_up for connection in connections]


def test_oldest_who_waits_gives_way_to_a_newcomer() -> None:
    places = Places(3)
    first, second, third = enter(places, 3)
    places.answer(first)
    places.answer(second)
    places.wait(second)  # waits anew: younger than the third now
    enter(places, 1)
    assert gone([first, second, third]) == [False, False, True]
    enter(places, 1)
    assert gone([first, second]) == [False, True]
    assert len(places) == 3


def test_where_all_are_busy_some_may_still_ask_for_health_and_the_rest_is_turned_away() -> None:
    places = Places(2)
    busy = enter(places, 2)
    for connection in busy:
        places.answer(connection)
    checks = [Connection() for _ in range(SPARE_PLACES)]
    assert {places.enter(check, None) for check in checks} == {Standing.HEALTH}
    newcomer = Connection()
    assert places.enter(newcomer, None) is Standing.HEALTH
    assert gone(checks)[:2] == [True, False]
    for check in [*checks[1:], newcomer]:
        places.answer(check)
    assert places.enter(Connection(), None) is Standing.NOTHING
    assert len(places) == 2 + SPARE_PLACES
    assert not any(gone(busy))


def test_a_network_fills_its_own_places_only() -> None:
    places = Places(10, places_a_network=2)
    greedy = enter(places, 5, "192.0.2.7")
    others = enter(places, 2, "2001:db8::/64") + enter(places, 4)
    assert gone(greedy) == [True, True, True, False, False]
    assert not any(gone(others))
    for connection in greedy[3:]:
        places.answer(connection)
    assert places.enter(Connection(), "192.0.2.7") is Standing.HEALTH
    assert not any(gone(others))


def test_a_place_that_is_given_back_is_free_and_giving_it_back_twice_changes_nothing() -> None:
    places = Places(2, places_a_network=1)
    (first,) = enter(places, 1, "192.0.2.7")
    places.answer(first)
    for _ in range(2):
        places.leave(first)
    places.wait(first)  # too late
    second, _ = enter(places, 1, "192.0.2.7") + enter(places, 1)
    assert not second.has_given_up
    assert len(places) == 2


def test_that_there_are_no_places_is_said_once_a_minute() -> None:
    places = Places(2, places_a_network=1)
    with capture_logs() as events:
        enter(places, 5, "192.0.2.7")
    assert [(event["log_level"], event["limit"], event["network"]) for event in events] == [
        ("warning", 1, "192.0.2.7")
    ]


@pytest.mark.parametrize(
    ("allowed", "places"),
    [
        (65536, MAX_PLACES),
        (resource.RLIM_INFINITY, MAX_PLACES),
        (256, 256 - RESERVED_DESCRIPTORS - SPARE_PLACES),
        (20, 1),
    ],
)
def test_there_are_no_more_places_than_descriptors(
    allowed: int, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (allowed, allowed))
    assert places_of_process() == places
