"""A record, however notes are packed, read and packed again, says what a plain account of them says."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from state_store.credentials.attempts import RefusalReason
from state_store.user_notes import Origin, UserNotes
from state_store.user_records import DAY_SECONDS, NotesOfUsers, RecordText, Traffic, read_notes

BEGAN = 20_420 * DAY_SECONDS
"""28 November 2025: the days after it are those of two months."""

origins = st.builds(
    Origin,
    st.sampled_from(["192.0.2.7", "2001:db8::1"]),
    st.sampled_from(["", "TLSv1.3"]),
    st.sampled_from(["USER", "PLAIN", "SCRAM-SHA-256", ""]),
)
events = st.one_of(
    st.tuples(st.just("login"), origins, st.integers(0, 9), st.integers(0, 10**12)),
    st.tuples(st.just("refusal"), st.sampled_from(RefusalReason), origins, st.text(max_size=300)),
    st.tuples(st.just("traffic"), st.integers(1, 10**12), st.integers(0, 99)),
)
batches = st.lists(st.tuples(st.integers(0, 3 * DAY_SECONDS), st.lists(events, max_size=8)), max_size=8)


@given(batches)
def test_a_record_says_what_was_noted(given_batches: list[tuple[int, list[tuple[object, ...]]]]) -> None:
    notes, text, at = UserNotes(), "", BEGAN
    days: Counter[int] = Counter()
    messages_of_days: Counter[int] = Counter()
    refused: Counter[RefusalReason] = Counter()
    last: dict[RefusalReason, tuple[int, Origin]] = {}
    login: tuple[object, ...] | None = None
    for pause, batch in given_batches:
        at += pause
        for kind, *values in batch:
            getattr(notes, str(kind))("alice", *values)
            match kind, values:
                case "login", _:
                    login = (at, *values)
                    refused.clear()
                case "refusal", [RefusalReason() as reason, Origin() as origin, _]:
                    if reason is not RefusalReason.UNKNOWN_USER:
                        refused[reason] += 1
                        last[reason] = (at, origin)
                case "traffic", [int() as octets, int() as messages]:
                    days[at // DAY_SECONDS] += octets
                    messages_of_days[at // DAY_SECONDS] += messages
        record = RecordText(text)
        for user, its_notes in taken(notes, at).items():
            if user:
                assert user == "alice"
                record.take_all(its_notes)
        text = record.text
    found, today = RecordText(text).read(at), at // DAY_SECONDS
    assert RecordText(text).last_refusal_reason == (found.refused[0].reason if found.refused else None)
    last_login = found.last_login
    shown = (last_login.at, last_login.origin, last_login.messages, last_login.octets) if last_login else None
    assert shown == login
    assert {one.reason: one.count for one in found.refused} == {reason: refused[reason] for reason in last}
    assert {one.reason: (one.at, one.origin) for one in found.refused} == last
    assert found.today == Traffic(days[today], messages_of_days[today])
    week = range(today - 6, today + 1)
    assert found.week == Traffic(sum(days[day] for day in week), sum(messages_of_days[day] for day in week))
    assert found.month.octets == sum(days[day] for day in days if _month(day) == _month(today))


def taken(notes: UserNotes, at: int) -> NotesOfUsers:
    """Return what was noted, as the store has it from that moment."""
    found = NotesOfUsers()
    read_notes([f"={at}", *notes.take().split("\n")], found)
    return found


def _month(day: int) -> int:
    return day >= 20_423  # 1 December 2025


@given(st.text(), st.sampled_from(RefusalReason), st.text())
def test_whatever_a_client_sends_as_its_name_is_one_line_of_the_log(
    name: str, reason: RefusalReason, detail: str
) -> None:
    notes = UserNotes()
    notes.refusal(name, reason, Origin("192.0.2.7"), detail)
    ((user, its_notes),) = taken(notes, 1).items()
    assert user in ("", name)
    record = RecordText()
    record.take_all(its_notes)
    assert RecordText(record.text).read(1).refused[0].reason is reason


noted = st.one_of(
    st.builds("l 192.0.2.7 - USER 3 4 {} {}".format, st.integers(0, 9), st.integers(0, 2)),
    st.builds("t {} {}".format, st.integers(0, 9), st.integers(0, 2)),
    st.builds("r {} 2 192.0.2.8 - USER ".format, st.sampled_from(["IN_USE", "WRONG_PASSWORD"])),
    st.just("d"),
)
moments = st.integers(BEGAN, BEGAN + 4 * DAY_SECONDS)


@given(st.lists(st.tuples(moments, noted)))
def test_notes_that_are_added_at_once_say_what_they_say_one_after_the_other(
    notes: list[tuple[int, str]],
) -> None:
    at_once, one_by_one, found = RecordText(), RecordText(), NotesOfUsers()
    read_notes([line for at, note in notes for line in (f"={at}", f"alice\t{note}")], found)
    at_once.take_all(found.get("alice", ()))
    for at, note in notes:
        one_by_one.take(at, note)
    assert at_once.text == one_by_one.text


def test_of_refusals_within_one_second_the_later_one_is_the_last() -> None:
    record, in_their_order = RecordText(), [RefusalReason.WRONG_PASSWORD, RefusalReason.IN_USE]
    for reason in in_their_order:
        record.take(BEGAN, f"r {reason.name} 1 192.0.2.7 - USER ")
    assert record.last_refusal_reason is in_their_order[-1]
    assert [one.reason for one in record.read(BEGAN).refused] == in_their_order[::-1]
