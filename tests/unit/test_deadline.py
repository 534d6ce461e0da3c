"""Deadlines on a clock that the test moves, and once on a real event loop."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any, cast

from line_server.deadline import Deadline, Timers


class _Handle:
    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Clock:
    """What a deadline needs of an event loop, with a time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers_set = 0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _Handle, Callable[..., object], tuple[object, ...]]] = []

    def time(self) -> float:
        return self.now

    @property
    def timers_waiting(self) -> int:
        return sum(not handle.is_cancelled for _, _, handle, _, _ in self._timers)

    def call_at(self, when: float, callback: Callable[..., object], *arguments: object) -> _Handle:
        self.timers_set += 1
        handle = _Handle()
        heapq.heappush(self._timers, (when, next(self._order), handle, callback, arguments))
        return handle

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, handle, callback, arguments = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if not handle.is_cancelled:
                callback(*arguments)
        self.now = end


class Expiries:
    """The owner of deadlines on a `Clock`, and when they expired, in seconds since its making."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.at: list[float] = []
        self.timers = Timers(cast(Any, self.clock))
        self.deadline = self.another()

    def another(self) -> Deadline:
        return Deadline(self.timers, self)

    def expired(self) -> None:
        self.at.append(self.clock.now - 1000.0)


def test_a_deadline_that_nobody_touches_expires_once_at_its_time() -> None:
    expiries = Expiries()
    expiries.deadline.allow(10)
    expiries.clock.advance(9.999)
    assert expiries.at == []
    expiries.clock.advance(100)
    assert expiries.at == [10]


def test_a_touch_moves_the_expiry_to_exactly_its_time_after_the_touch() -> None:
    expiries = Expiries()
    expiries.deadline.allow(10)
    expiries.clock.advance(7)
    expiries.deadline.touch()
    expiries.clock.advance(9.999)
    assert expiries.at == []
    expiries.clock.advance(5)
    assert expiries.at == [17]


def test_a_touch_in_the_last_part_of_a_second_moves_the_expiry_too() -> None:
    expiries = Expiries()
    expiries.deadline.allow(10.5)
    expiries.clock.advance(10.25)  # its second has begun, so it has a timer of its own
    expiries.deadline.touch()
    expiries.clock.advance(10.25)
    assert expiries.at == []
    expiries.clock.advance(5)
    assert expiries.at == [20.75]


def test_a_thousand_touches_within_the_time_set_no_timer_of_their_own() -> None:
    expiries = Expiries()
    expiries.deadline.allow(10)
    for _ in range(1000):
        expiries.clock.advance(0.009)
        expiries.deadline.touch()
    assert expiries.clock.timers_set == 1


def test_a_shorter_time_counts_from_the_last_touch_and_not_from_its_setting() -> None:
    expiries = Expiries()
    expiries.deadline.allow(100)
    expiries.clock.advance(5)
    expiries.deadline.allow(8)
    expiries.clock.advance(50)
    assert expiries.at == [8]


def test_a_time_that_has_passed_already_expires_in_the_next_turn() -> None:
    expiries = Expiries()
    expiries.clock.advance(30)
    expiries.deadline.allow(10)
    assert expiries.at == []
    expiries.clock.advance(0)
    assert expiries.at == [30]


def test_a_longer_time_takes_the_place_of_a_shorter_one() -> None:
    expiries = Expiries()
    expiries.deadline.allow(5)
    expiries.deadline.allow(50)
    expiries.clock.advance(200)
    assert expiries.at == [50]


def test_no_time_at_all_never_expires_until_one_is_given_again() -> None:
    expiries = Expiries()
    expiries.deadline.allow(5)
    expiries.deadline.allow(None)
    expiries.clock.advance(1000)
    assert expiries.at == []
    expiries.deadline.touch()
    expiries.deadline.allow(5)
    expiries.clock.advance(1000)
    assert expiries.at == [1005]


def test_an_ended_deadline_never_expires_and_may_be_ended_again() -> None:
    expiries = Expiries()
    expiries.deadline.allow(5)
    expiries.deadline.end()
    expiries.deadline.end()
    expiries.clock.advance(1000)
    assert expiries.at == []


def test_an_ended_deadline_tells_nobody_any_more() -> None:
    expiries = Expiries()
    expiries.deadline.allow(10)
    expiries.deadline.end()
    expiries.deadline.allow(10)
    expiries.clock.advance(100)
    assert expiries.at == []


def test_a_deadline_ended_after_its_timer_was_moved_never_expires() -> None:
    expiries = Expiries()
    expiries.deadline.allow(10)
    expiries.clock.advance(5)
    expiries.deadline.touch()
    expiries.clock.advance(6)
    expiries.deadline.end()
    expiries.clock.advance(1000)
    assert expiries.at == []


async def test_a_deadline_on_a_real_loop_expires_not_before_its_time() -> None:
    class Owner:
        def __init__(self) -> None:
            self.end: asyncio.Future[float] = loop.create_future()

        def expired(self) -> None:
            self.end.set_result(loop.time())

    loop = asyncio.get_running_loop()
    owner = Owner()
    deadline = Deadline(Timers(), owner)
    start = loop.time()
    deadline.allow(0.02)
    async with asyncio.timeout(20):
        # The loop may call a timer early by its clock's resolution.
        assert await owner.end - start >= 0.019


def test_a_limit_ends_what_is_touched_all_the_time() -> None:
    expiries = Expiries()
    expiries.deadline.expire_within(60.25)
    expiries.deadline.allow(10)
    for _ in range(100):
        expiries.clock.advance(5)
        expiries.deadline.touch()
    assert expiries.at == [60.25]


def test_a_limit_that_is_lifted_leaves_the_touches() -> None:
    expiries = Expiries()
    expiries.deadline.expire_within(5)
    expiries.deadline.allow(20)
    expiries.clock.advance(4)
    assert not expiries.deadline.is_at_limit
    expiries.deadline.touch()
    expiries.deadline.lift_limit()
    expiries.clock.advance(100)
    assert expiries.at == [24]


def test_a_limit_holds_without_any_other_time() -> None:
    expiries = Expiries()
    expiries.deadline.expire_within(5)
    expiries.deadline.allow(None)
    expiries.clock.advance(100)
    assert expiries.at == [5]
    assert expiries.deadline.is_at_limit


def test_deadlines_of_one_second_share_a_timer_and_expire_each_at_its_time() -> None:
    expiries = Expiries()
    others = [expiries.another() for _ in range(3)]
    for deadline, seconds in zip(others, (10.5, 10.25, 10.75), strict=True):
        deadline.allow(seconds)
    assert expiries.clock.timers_set == 1
    others[2].end()
    expiries.clock.advance(100)
    assert expiries.at == [10.25, 10.5]


def test_the_timer_of_a_second_goes_with_the_last_deadline_that_is_due_in_it() -> None:
    expiries = Expiries()
    others = [expiries.another() for _ in range(2)]
    for deadline in others:
        deadline.allow(10)
    for deadline in others:
        deadline.end()
    assert expiries.clock.timers_waiting == 0


def test_a_deadline_of_the_second_that_has_begun_takes_its_own_timer_along() -> None:
    expiries = Expiries()
    expiries.deadline.allow(0.5)
    assert expiries.clock.timers_waiting == 1
    expiries.deadline.end()
    assert expiries.clock.timers_waiting == 0
