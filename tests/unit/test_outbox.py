"""What an instance tells the store: each thing once, and again when the answer was lost."""

import asyncio

import pytest

from state_store.errors import StoreUnavailable
from state_store.instance.outbox import ROW_SECONDS, Outbox
from state_store.records import Deltas, Exchange, Login, LoginOutcome, SessionRow

LATER = 2 * ROW_SECONDS


def session(session_id: str = "s1", username: str | None = None) -> SessionRow:
    return SessionRow(session_id, "i1", username, "192.0.2.1", 1000.0)


def login(session_id: str = "s1") -> Login:
    return Login("alice", session_id, "v1", "192.0.2.1")


def filled(outbox: Outbox, now: float = LATER) -> Exchange:
    exchange = Exchange("i1", 0)
    outbox.fill(exchange, now)
    return exchange


def note(outbox: Outbox, row: SessionRow, now: float) -> None:
    """Note a session whose row is this one."""
    outbox.open_session(row.session_id, lambda: row, now)


def test_empty_outbox_has_no_work() -> None:
    outbox = Outbox()
    assert not outbox.has_work
    outbox.deltas.logins += 1
    assert outbox.has_work


def test_what_is_reported_later_travels_once_with_the_next_exchange() -> None:
    outbox = Outbox()

    def report() -> None:
        outbox.deltas.retrieved_bytes += 7
        outbox.user_notes.traffic("alice", 7, 0)

    outbox.report_later(report)
    assert outbox.has_lasting_work
    assert outbox.noted == 1
    first = filled(outbox)
    outbox.confirm([])
    assert (first.deltas.retrieved_bytes, first.deltas.user_notes) == (7, "alice\tt 7 0")
    assert not outbox.has_work


def test_what_is_reported_later_waits_for_the_end_of_the_counts_whose_answer_was_lost() -> None:
    outbox = Outbox()
    outbox.deltas.logins += 1
    first = filled(outbox)
    outbox.report_later(lambda: outbox.deltas.add(Deltas(retrieved_bytes=7)))
    outbox.keep(first, 0.0)
    assert filled(outbox).deltas == first.deltas
    outbox.confirm([])
    assert filled(outbox).deltas == Deltas(retrieved_bytes=7)


def test_counts_travel_once_under_a_growing_sequence_number() -> None:
    outbox = Outbox()
    outbox.deltas.retrieved_bytes += 7
    first = filled(outbox)
    outbox.confirm([])
    outbox.deltas.retrieved_bytes += 5
    second = filled(outbox)
    outbox.confirm([])
    assert (first.counts_sequence, first.deltas.retrieved_bytes) == (1, 7)
    assert (second.counts_sequence, second.deltas.retrieved_bytes) == (2, 5)
    assert second.exchange_number > first.exchange_number
    assert not outbox.has_work


def test_counts_of_a_lost_answer_are_told_again_unchanged_under_the_same_number() -> None:
    outbox = Outbox()
    outbox.deltas.removed_emails += 1
    first = filled(outbox)
    outbox.deltas.removed_emails += 10
    outbox.keep(first, 0.0)
    again = filled(outbox)
    outbox.confirm([])
    rest = filled(outbox)
    assert (again.counts_sequence, again.deltas.removed_emails) == (1, 1)
    assert (rest.counts_sequence, rest.deltas.removed_emails) == (2, 10)


@pytest.mark.parametrize(("counts_taken", "left"), [(True, 10), (False, 11)])
def test_new_lease_tells_only_the_counts_that_were_not_taken(counts_taken: bool, left: int) -> None:
    outbox = Outbox()
    outbox.deltas.logins += 1
    lost = filled(outbox)
    outbox.deltas.logins += 10
    outbox.keep(lost, 0.0)
    outbox.start_over(counts_taken=counts_taken)
    exchange = filled(outbox)
    assert (exchange.counts_sequence, exchange.deltas.logins) == (1, left)


def test_what_asking_for_a_row_counts_travels_with_the_row() -> None:
    outbox = Outbox()

    def row() -> SessionRow:
        outbox.deltas.connections += 1
        return session("s1")

    outbox.open_session("s1", row, 0.0)
    assert filled(outbox, now=ROW_SECONDS / 2).deltas.connections == 0
    outbox.confirm([])
    exchange = filled(outbox)
    assert [told.session_id for told in exchange.session_rows] == ["s1"]
    assert exchange.deltas.connections == 1


def test_new_lease_begins_with_no_releases_and_with_the_rows_of_all_open_sessions() -> None:
    outbox = Outbox()
    note(outbox, session("s1"), 0.0)
    note(outbox, session("s2"), 0.0)
    filled(outbox)
    outbox.confirm([])
    outbox.release("alice", "s1")
    outbox.close_session("s1")
    outbox.start_over(counts_taken=True)
    exchange = filled(outbox)
    assert (exchange.releases, exchange.closed_sessions) == ([], [])
    assert exchange.session_rows == [session("s2")]


def test_session_shorter_than_a_moment_is_never_written_down() -> None:
    outbox = Outbox()
    note(outbox, session(), 1.0)
    assert filled(outbox, 1.0 + ROW_SECONDS / 2).session_rows == []
    outbox.confirm([])
    outbox.close_session("s1")
    exchange = filled(outbox, 5.0)
    assert (exchange.session_rows, exchange.closed_sessions) == ([], [])


def test_session_is_written_once_and_again_when_it_has_logged_in() -> None:
    outbox = Outbox()
    note(outbox, session(), 0.0)
    assert filled(outbox).session_rows == [session()]
    outbox.confirm([])
    assert filled(outbox).session_rows == []
    outbox.confirm([])
    note(outbox, session(username="alice"), 1.0)
    assert filled(outbox, 2.0).session_rows == [session(username="alice")]


def test_session_that_was_written_down_is_closed_in_the_store() -> None:
    outbox = Outbox()
    note(outbox, session(), 0.0)
    filled(outbox)
    outbox.confirm([])
    outbox.close_session("s1")
    assert filled(outbox).closed_sessions == ["s1"]


def test_session_written_down_before_its_login_is_closed_though_it_ends_a_moment_after_it() -> None:
    outbox = Outbox()
    note(outbox, session(), 0.0)
    assert filled(outbox).session_rows == [session()]
    outbox.confirm([])
    note(outbox, session(username="alice"), 1.0)
    outbox.close_session("s1")
    assert filled(outbox, 2.0).closed_sessions == ["s1"]


def test_row_whose_answer_was_lost_is_told_again_or_taken_back() -> None:
    outbox = Outbox()
    note(outbox, session("s1"), 0.0)
    note(outbox, session("s2"), 0.0)
    lost = filled(outbox)
    outbox.close_session("s2")
    outbox.keep(lost, 1.0)
    exchange = filled(outbox, 1.0)
    assert exchange.session_rows == [session("s1")]
    assert exchange.closed_sessions == ["s2"]


def test_releases_whose_answer_was_lost_come_again_before_the_newer_ones() -> None:
    outbox = Outbox()
    outbox.release("alice", "s1")
    lost = filled(outbox)
    outbox.release("bob", "s2")
    outbox.keep(lost, 0.0)
    assert filled(outbox).releases == [("alice", "s1"), ("bob", "s2")]


async def test_logins_get_their_outcomes_in_order() -> None:
    outbox = Outbox()
    answers = [outbox.log_in(login(f"s{number}")) for number in range(2)]
    assert [one.session_id for one in filled(outbox).logins] == ["s0", "s1"]
    outbox.confirm([LoginOutcome.OPENED, LoginOutcome.IN_USE])
    assert [one.result() for one in answers] == [LoginOutcome.OPENED, LoginOutcome.IN_USE]


async def test_login_whose_answer_was_lost_fails_and_gives_back_what_it_may_have_got() -> None:
    outbox = Outbox()
    answer = outbox.log_in(login())
    outbox.keep(filled(outbox), 0.0)
    with pytest.raises(StoreUnavailable):
        await answer
    exchange = filled(outbox)
    assert (exchange.logins, exchange.withdrawn_logins) == ([], [("alice", "s1")])


async def test_lock_that_comes_after_its_client_has_gone_is_given_back() -> None:
    outbox = Outbox()
    gone: asyncio.Future[LoginOutcome] = outbox.log_in(login())
    filled(outbox)
    gone.cancel()
    outbox.confirm([LoginOutcome.OPENED])
    assert filled(outbox).releases == [("alice", "s1")]


def test_withdrawn_login_is_told_once_and_again_when_the_answer_was_lost() -> None:
    outbox = Outbox()
    outbox.withdraw("alice", "s1")
    assert outbox.has_work
    outbox.keep(filled(outbox), 0.0)
    assert outbox.has_work
    assert filled(outbox).withdrawn_logins == [("alice", "s1")]
    outbox.confirm([])
    assert filled(outbox).withdrawn_logins == []


def test_withdrawn_login_is_still_told_under_a_new_lease() -> None:
    # Its lock has ended with the lease, but its user would have to wait for the login delay.
    outbox = Outbox()
    outbox.withdraw("alice", "s1")
    outbox.keep(filled(outbox), 0.0)
    outbox.start_over(counts_taken=True)
    assert filled(outbox).withdrawn_logins == [("alice", "s1")]


def test_deltas_add_up_field_by_field() -> None:
    total = Deltas(1, 2, 3, 4, 5)
    total.add(Deltas(10, 20, 30, 40, 50))
    assert total == Deltas(11, 22, 33, 44, 55)
    assert not Deltas()
