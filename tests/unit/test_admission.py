"""Slots that an instance holds of the connection limit: taken at once, waited for, given back (P8)."""

import asyncio

import pytest

from state_store.admission import WAIT_SECONDS, Admission
from state_store.errors import StoreUnavailable
from state_store.records import ExchangeResult


def answer(
    reserved: int, *, limit: int = 100, should_shrink: bool = False, spare_elsewhere: bool = False
) -> ExchangeResult:
    return ExchangeResult(reserved, should_shrink, limit, spare_elsewhere, 1, [])


def admission_with(reserved: int, open_connections: int = 0) -> Admission:
    """Return one that holds `reserved` slots and has filled some."""
    admission = Admission()
    admission.ask()
    admission.answered(answer(reserved), 0.0)
    assert [admission.admit_at_once() for _ in range(open_connections)] == [True] * open_connections
    return admission


def test_nobody_comes_in_before_the_store_has_answered() -> None:
    assert not Admission().admit_at_once()


def test_as_many_come_in_at_once_as_slots_are_held() -> None:
    admission = admission_with(reserved=3)
    assert [admission.admit_at_once() for _ in range(4)] == [True, True, True, False]
    admission.discharge()
    assert admission.admit_at_once()
    assert admission.open_connections == 3


def test_claim_holds_the_spare_slots_so_that_they_may_be_filled_meanwhile() -> None:
    admission = admission_with(reserved=5, open_connections=2)
    assert admission.ask() == 5
    assert admission.admit_at_once()


def test_slots_that_are_being_given_back_are_not_filled() -> None:
    admission = admission_with(reserved=5, open_connections=2)
    admission.shrink()
    assert admission.must_ask
    assert admission.ask() == 2
    assert not admission.admit_at_once()
    admission.answered(answer(2), 0.0)
    assert not admission.must_ask


async def test_slots_given_back_with_an_answer_that_got_lost_are_not_filled() -> None:
    # The store may have taken them back and dealt them to another instance.
    admission = admission_with(reserved=5, open_connections=2)
    admission.shrink()
    admission.ask()
    admission.failed()
    assert not admission.admit_at_once()


async def test_wish_to_shrink_that_comes_during_an_exchange_is_not_forgotten() -> None:
    admission = admission_with(reserved=5, open_connections=2)
    assert admission.ask() == 5
    admission.shrink()
    admission.answered(answer(5), 0.0)
    assert admission.must_ask
    assert admission.ask() == 2


async def test_those_who_wait_come_in_by_their_order_and_the_rest_is_refused() -> None:
    admission = admission_with(reserved=1)
    waiting = [admission.wait_for_slot() for _ in range(3)]
    admission.ask()
    admission.answered(answer(2, limit=2), 0.0)
    assert [one.result() for one in waiting] == [True, True, False]
    assert (admission.open_connections, admission.max_connections) == (2, 2)


async def test_one_who_came_after_the_question_waits_for_the_next_answer() -> None:
    admission = admission_with(reserved=0)
    first = admission.wait_for_slot()
    admission.ask()
    late = admission.wait_for_slot()
    admission.answered(answer(0), 0.0)
    assert first.result() is False
    assert not late.done()
    assert admission.must_ask


async def test_one_who_has_gone_takes_no_slot() -> None:
    admission = admission_with(reserved=0)
    gone, here = admission.wait_for_slot(), admission.wait_for_slot()
    gone.cancel()
    admission.ask()
    admission.answered(answer(1), 0.0)
    assert here.result() is True
    assert admission.open_connections == 1


async def test_slots_held_elsewhere_are_waited_for_but_not_for_ever() -> None:
    admission = admission_with(reserved=0)
    waiting = admission.wait_for_slot()
    now = asyncio.get_running_loop().time()
    admission.ask()
    admission.answered(answer(0, spare_elsewhere=True), now)
    assert admission.waits_for_others
    assert not waiting.done()
    admission.ask()
    admission.answered(answer(0, spare_elsewhere=True), now + WAIT_SECONDS + 1)
    assert waiting.result() is False
    assert not admission.waits_for_others


async def test_everybody_who_waits_is_told_when_the_store_does_not_answer() -> None:
    admission = admission_with(reserved=0)
    waiting = [admission.wait_for_slot() for _ in range(2)]
    admission.ask()
    admission.failed()
    for one in waiting:
        with pytest.raises(StoreUnavailable):
            one.result()
    assert admission.waiting_connections == 0


async def test_answer_that_comes_after_all_have_been_told_of_a_failure_does_no_harm() -> None:
    admission = admission_with(reserved=0)
    waiting = admission.wait_for_slot()
    admission.ask()
    admission.failed()
    admission.answered(answer(1), 0.0)
    assert isinstance(waiting.exception(), StoreUnavailable)
    assert admission.admit_at_once()


def test_lapsed_lease_takes_all_slots_along() -> None:
    admission = admission_with(reserved=5, open_connections=2)
    admission.lapsed()
    assert not admission.admit_at_once()
    assert admission.ask() == 2
