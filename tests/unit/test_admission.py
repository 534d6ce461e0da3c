"""Slots of the connection limit (P8) and places of an address: taken, waited for, given back."""

import asyncio

import pytest

from state_store.errors import StoreUnavailable
from state_store.instance.admission import WAIT_SECONDS, Admission
from state_store.records import AddressCount, AdmissionOutcome, ExchangeResult
from state_store.redis.scripting import LARGEST_SPARE

ADMITTED = AdmissionOutcome.ADMITTED
LIMIT_REACHED = AdmissionOutcome.LIMIT_REACHED
ADDRESS_LIMIT_REACHED = AdmissionOutcome.ADDRESS_LIMIT_REACHED

HERE = "192.0.2.1"
THERE = "2001:db8::1"


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
    admission.discharge(HERE)
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


async def test_slots_that_another_instance_wants_are_first_filled_by_those_who_were_granted_them() -> None:
    admission = admission_with(reserved=0)
    waiting = [admission.wait_for_slot(HERE) for _ in range(3)]
    admission.ask()
    admission.shrink()
    admission.answered(answer(2), 0.0)
    assert [one.result() for one in waiting] == [ADMITTED, ADMITTED, LIMIT_REACHED]
    assert admission.ask() == 2


async def test_slots_granted_by_an_old_limit_are_not_filled() -> None:
    admission = admission_with(reserved=0)
    waiting = admission.wait_for_slot(HERE)
    admission.ask()
    admission.limit_changed()
    admission.answered(answer(1), 0.0)
    assert not waiting.done()
    assert admission.ask() == 0
    admission.answered(answer(0, limit=0), 0.0)
    assert waiting.result() is LIMIT_REACHED


async def test_nobody_overtakes_those_who_wait() -> None:
    # Far from the limit nobody is refused, however many come and go while an exchange is under way.
    crowd, late = 80, 20
    admission = admission_with(reserved=crowd, open_connections=crowd)
    waiting = [admission.wait_for_slot(HERE) for _ in range(late)]
    for _ in range(crowd):
        admission.discharge(HERE)
    admission.ask()
    newcomers = [admission.admit_at_once() or admission.wait_for_slot(THERE) for _ in range(crowd)]
    admission.answered(answer(late + LARGEST_SPARE, limit=1000), 0.0)
    assert [each.result() for each in waiting] == [ADMITTED] * late
    assert LIMIT_REACHED not in [each.result() for each in newcomers if each is not True and each.done()]


async def test_those_who_wait_come_in_by_their_order_and_the_rest_is_refused() -> None:
    admission = admission_with(reserved=1)
    waiting = [admission.wait_for_slot(HERE) for _ in range(3)]
    admission.ask()
    admission.answered(answer(2, limit=2), 0.0)
    assert [one.result() for one in waiting] == [ADMITTED, ADMITTED, LIMIT_REACHED]
    assert (admission.open_connections, admission.max_connections) == (2, 2)


async def test_one_who_came_after_the_question_waits_for_the_next_answer() -> None:
    admission = admission_with(reserved=0)
    first = admission.wait_for_slot(HERE)
    admission.ask()
    late = admission.wait_for_slot(HERE)
    admission.answered(answer(0), 0.0)
    assert first.result() is LIMIT_REACHED
    assert not late.done()
    assert admission.must_ask


async def test_one_who_has_gone_takes_no_slot() -> None:
    admission = admission_with(reserved=0)
    gone, here = admission.wait_for_slot(HERE), admission.wait_for_slot(HERE)
    gone.cancel()
    admission.ask()
    admission.answered(answer(1), 0.0)
    assert here.result() is ADMITTED
    assert admission.open_connections == 1


async def test_slots_held_elsewhere_are_waited_for_but_not_for_ever() -> None:
    admission = admission_with(reserved=0)
    waiting = admission.wait_for_slot(HERE)
    now = asyncio.get_running_loop().time()
    admission.ask()
    admission.answered(answer(0, spare_elsewhere=True), now)
    assert admission.waits_for_others
    assert not waiting.done()
    admission.ask()
    admission.answered(answer(0, spare_elsewhere=True), now + WAIT_SECONDS + 1)
    assert waiting.result() is LIMIT_REACHED
    assert not admission.waits_for_others


async def test_everybody_who_waits_is_told_when_the_store_does_not_answer() -> None:
    admission = admission_with(reserved=0)
    waiting = [admission.wait_for_slot(HERE) for _ in range(2)]
    admission.ask()
    admission.failed()
    for one in waiting:
        with pytest.raises(StoreUnavailable):
            one.result()
    assert admission.waiting_connections == 0


async def test_answer_that_comes_after_all_have_been_told_of_a_failure_does_no_harm() -> None:
    admission = admission_with(reserved=0)
    waiting = admission.wait_for_slot(HERE)
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


# Places among the connections of one address


def told(admission: Admission) -> list[AddressCount]:
    """Begin an exchange and return what it says of addresses."""
    admission.ask()
    return admission.address_counts()


def allow(admission: Admission, *allowed: int, reserved: int = 50, spare_elsewhere: bool = False) -> None:
    """Let the store answer that so many may be open of each address that was told."""
    result = ExchangeResult(reserved, False, 100, spare_elsewhere, 1, [], list(allowed))
    admission.answered(result, asyncio.get_running_loop().time())


def limited(limit: int) -> Admission:
    """Return one that holds slots, and counts addresses."""
    admission = Admission(limit)
    told(admission)
    allow(admission)
    return admission


async def limited_with(limit: int, open_connections: int) -> Admission:
    """Return one that has let some in from HERE."""
    admission = limited(limit)
    for _ in range(open_connections):
        admission.wait_for_slot(HERE)
    told(admission)
    allow(admission, open_connections)
    assert admission.open_connections == open_connections
    return admission


async def test_without_a_limit_addresses_are_never_told() -> None:
    admission = Admission()
    admission.wait_for_slot(HERE)
    assert told(admission) == []
    allow(admission)
    admission.discharge(HERE)
    assert told(admission) == []
    assert not admission.must_report


async def test_with_a_limit_nobody_comes_in_without_the_word_of_the_store() -> None:
    admission = limited(2)
    assert not admission.admit_at_once()
    waiting = [admission.wait_for_slot(one) for one in (HERE, HERE, THERE)]
    assert told(admission) == [AddressCount(HERE, 0, 2), AddressCount("2001:db8::/64", 0, 1)]
    allow(admission, 1, 1)
    assert [one.result() for one in waiting] == [ADMITTED, ADDRESS_LIMIT_REACHED, ADMITTED]
    assert admission.open_connections == 2


async def test_address_that_has_all_its_places_here_is_refused_without_asking() -> None:
    admission = await limited_with(2, open_connections=2)
    assert admission.wait_for_slot(HERE).result() is ADDRESS_LIMIT_REACHED
    assert admission.waiting_connections == 0
    assert not admission.wait_for_slot(THERE).done()


async def test_counts_are_told_when_they_have_changed_and_only_then() -> None:
    admission = await limited_with(5, open_connections=3)
    assert not admission.must_report
    assert told(admission) == []
    allow(admission)
    admission.discharge(HERE)
    assert admission.must_report
    assert told(admission) == [AddressCount(HERE, 2, 0)]
    allow(admission, 2)
    assert not admission.must_report


async def test_last_connection_of_an_address_is_told_as_none() -> None:
    admission = await limited_with(5, open_connections=1)
    admission.discharge(HERE)
    assert told(admission) == [AddressCount(HERE, 0, 0)]
    allow(admission, 0)
    assert told(admission) == []


async def test_place_that_comes_free_while_it_is_told_is_told_again() -> None:
    admission = await limited_with(5, open_connections=3)
    admission.discharge(HERE)
    told(admission)
    admission.discharge(HERE)
    allow(admission, 2)
    assert admission.must_report
    assert told(admission) == [AddressCount(HERE, 1, 0)]


async def test_place_of_one_who_has_gone_is_told_to_be_free() -> None:
    admission = limited(5)
    gone = admission.wait_for_slot(HERE)
    told(admission)
    gone.cancel()
    allow(admission, 1)
    assert admission.must_report
    assert told(admission) == [AddressCount(HERE, 0, 0)]


async def test_place_of_one_whom_the_limit_over_all_refuses_is_told_to_be_free() -> None:
    admission = limited(5)
    refused = admission.wait_for_slot(HERE)
    told(admission)
    allow(admission, 1, reserved=0)
    assert refused.result() is LIMIT_REACHED
    assert told(admission) == [AddressCount(HERE, 0, 0)]


async def test_one_who_waits_for_slots_held_elsewhere_asks_for_its_place_again() -> None:
    admission = limited(5)
    waiting = admission.wait_for_slot(HERE)
    told(admission)
    allow(admission, 1, reserved=0, spare_elsewhere=True)
    assert not waiting.done()
    assert told(admission) == [AddressCount(HERE, 0, 1)]
    allow(admission, 1)
    assert waiting.result() is ADMITTED
    assert not admission.must_report


async def test_place_granted_in_an_answer_that_got_lost_is_told_to_be_free() -> None:
    admission = await limited_with(5, open_connections=1)
    waiting = admission.wait_for_slot(HERE)
    told(admission)
    admission.failed()
    assert isinstance(waiting.exception(), StoreUnavailable)
    assert admission.must_report
    assert told(admission) == [AddressCount(HERE, 1, 0)]


async def test_place_given_back_with_an_answer_that_got_lost_is_not_taken() -> None:
    # The store may have given it to another instance.
    admission = await limited_with(5, open_connections=2)
    admission.discharge(HERE)
    told(admission)
    admission.failed()
    late = admission.wait_for_slot(HERE)
    assert told(admission) == [AddressCount(HERE, 1, 1)]
    allow(admission, 1)
    assert late.result() is ADDRESS_LIMIT_REACHED


async def test_one_who_came_after_the_question_is_not_refused_by_its_answer() -> None:
    admission = limited(5)
    first = admission.wait_for_slot(HERE)
    told(admission)
    late = admission.wait_for_slot(HERE)
    allow(admission, 1)
    assert first.result() is ADMITTED
    assert not late.done()
    assert told(admission) == [AddressCount(HERE, 1, 1)]


async def test_lapsed_lease_tells_the_open_connections_of_every_address_anew() -> None:
    admission = await limited_with(5, open_connections=3)
    admission.lapsed()
    assert told(admission) == [AddressCount(HERE, 3, 0)]
    allow(admission, 3)
    for _ in range(3):
        admission.discharge(HERE)
    assert told(admission) == [AddressCount(HERE, 0, 0)]


async def test_lapsed_lease_takes_the_places_along_that_nobody_has_filled() -> None:
    admission = limited(5)
    gone = admission.wait_for_slot(HERE)
    told(admission)
    gone.cancel()
    allow(admission, 1)
    admission.lapsed()
    assert told(admission) == []
    late = admission.wait_for_slot(HERE)
    allow(admission)
    assert not late.done()
    assert told(admission) == [AddressCount(HERE, 0, 1)]
