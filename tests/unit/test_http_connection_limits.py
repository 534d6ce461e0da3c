"""Limits of HTTP connections: which one is closed for a new one, and which ones stay."""

import resource

import pytest
from structlog.testing import capture_logs

from line_server.descriptors import OWN, RESERVED
from state_api.connection_limits import HEALTH_CONNECTIONS, MAX_CONNECTIONS, Access, ConnectionLimits


class Connection:
    """A connection that may be counted."""

    def __init__(self) -> None:
        self.is_closed = False

    def make_room(self) -> None:
        self.is_closed = True


def enter(limits: ConnectionLimits, number: int, network: str | None = None) -> list[Connection]:
    """Count so many connections that may ask for anything."""
    connections = [Connection() for _ in range(number)]
    for connection in connections:
        assert limits.enter(connection, network) is Access.FULL
    return connections


def closed(connections: list[Connection]) -> list[bool]:
    return [connection.is_closed for connection in connections]


def test_the_one_that_has_waited_longest_is_closed_for_a_new_one() -> None:
    limits = ConnectionLimits(3)
    first, second, third = enter(limits, 3)
    limits.answer(first)
    limits.answer(second)
    limits.wait(second)  # waits anew: younger than the third now
    enter(limits, 1)
    assert closed([first, second, third]) == [False, False, True]
    enter(limits, 1)
    assert closed([first, second]) == [False, True]
    assert len(limits) == 3


def test_where_all_are_busy_some_may_still_ask_for_health_and_the_rest_is_refused() -> None:
    limits = ConnectionLimits(2)
    busy = enter(limits, 2)
    for connection in busy:
        limits.answer(connection)
    checks = [Connection() for _ in range(HEALTH_CONNECTIONS)]
    assert {limits.enter(check, None) for check in checks} == {Access.HEALTH}
    newcomer = Connection()
    assert limits.enter(newcomer, None) is Access.HEALTH
    assert closed(checks)[:2] == [True, False]
    for check in [*checks[1:], newcomer]:
        limits.answer(check)
    assert limits.enter(Connection(), None) is Access.NONE
    assert len(limits) == 2 + HEALTH_CONNECTIONS
    assert not any(closed(busy))


def test_a_network_reaches_its_own_limit_only() -> None:
    limits = ConnectionLimits(10, max_of_network=2)
    greedy = enter(limits, 5, "192.0.2.7")
    others = enter(limits, 2, "2001:db8::/64") + enter(limits, 4)
    assert closed(greedy) == [True, True, True, False, False]
    assert not any(closed(others))
    for connection in greedy[3:]:
        limits.answer(connection)
    assert limits.enter(Connection(), "192.0.2.7") is Access.HEALTH
    assert not any(closed(others))


def test_one_that_leaves_makes_room_and_leaving_twice_changes_nothing() -> None:
    limits = ConnectionLimits(2, max_of_network=1)
    (first,) = enter(limits, 1, "192.0.2.7")
    limits.answer(first)
    for _ in range(2):
        limits.leave(first)
    limits.wait(first)  # too late
    second, _ = enter(limits, 1, "192.0.2.7") + enter(limits, 1)
    assert not second.is_closed
    assert len(limits) == 2


def test_too_many_connections_are_logged_once_a_minute() -> None:
    limits = ConnectionLimits(2, max_of_network=1)
    with capture_logs() as events:
        enter(limits, 5, "192.0.2.7")
    assert [(event["log_level"], event["limit"], event["network"]) for event in events] == [
        ("warning", 1, "192.0.2.7")
    ]


@pytest.mark.parametrize(
    ("allowed", "most"),
    [
        (65536, MAX_CONNECTIONS),
        (resource.RLIM_INFINITY, MAX_CONNECTIONS),
        (256, 256 - RESERVED - OWN - HEALTH_CONNECTIONS),
        (20, 1),
    ],
)
def test_there_are_no_more_connections_than_descriptors(
    allowed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (allowed, allowed))
    limits = ConnectionLimits()
    enter(limits, most + 1)
    assert len(limits) == most
