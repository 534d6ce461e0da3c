"""What an instance notes of users until the next exchange, and what is forgotten of a record."""

from state_store.credentials.attempts import RefusalReason
from state_store.user_notes import MOST_REFUSALS, NoteKind, Origin, UserNotes, notes_of
from state_store.user_records import DAY_SECONDS, RecordText

HOME = Origin("192.0.2.7", "TLSv1.3", "USER")


def test_traffic_of_a_user_is_one_note_however_often_it_was_counted() -> None:
    notes = UserNotes()
    notes.traffic("alice", 10, 0)
    notes.traffic("alice", 5, 1)
    notes.traffic("", 7, 0)
    assert notes_of(notes.take()) == [(NoteKind.TRAFFIC, "alice", "15 1"), (NoteKind.TRAFFIC, "", "7 0")]
    assert not notes


def test_refusals_before_a_login_do_not_count_after_it_and_those_after_it_do() -> None:
    notes = UserNotes()
    notes.refusal("alice", RefusalReason.WRONG_PASSWORD, HOME)
    notes.login("alice", HOME, 1, 2)
    notes.refusal("alice", RefusalReason.IN_USE, HOME, "by 198.51.100.4")
    record = RecordText()
    for note in notes_of(notes.take()):
        record.take(5, note.kind, note.text)
    assert {one.reason.name: one.count for one in record.read(5).refused} == {
        "WRONG_PASSWORD": 0,
        "IN_USE": 1,
    }


def test_names_that_nobody_has_are_not_kept() -> None:
    notes = UserNotes()
    for number in range(MOST_REFUSALS):
        notes.refusal(f"guess{number}", RefusalReason.UNKNOWN_USER, HOME)
    notes.refusal("no user/name", RefusalReason.REPEATED, HOME)
    assert notes_of(notes.take()) == [
        (NoteKind.REFUSAL, "", f"UNKNOWN_USER {MOST_REFUSALS} - - -"),
        (NoteKind.REFUSAL, "", "REPEATED 1 - - -"),
    ]


def test_a_flood_of_names_is_kept_as_a_number() -> None:
    notes = UserNotes()
    for number in range(3 * MOST_REFUSALS):
        notes.refusal(f"guess{number}", RefusalReason.SLOWED_DOWN, HOME)
    found = notes_of(notes.take())
    assert len(found) == MOST_REFUSALS + 1
    assert (NoteKind.REFUSAL, "", f"SLOWED_DOWN {2 * MOST_REFUSALS} - - -") in found


def test_nothing_is_noted_where_nothing_is_kept() -> None:
    notes = UserNotes(is_kept=False)
    notes.login("alice", HOME, 1, 2)
    notes.refusal("alice", RefusalReason.IN_USE, HOME)
    notes.traffic("alice", 1, 1)
    assert not notes
    assert notes.take() == ""


def test_what_is_old_is_forgotten_part_by_part() -> None:
    record = RecordText()
    record.take(10 * DAY_SECONDS, NoteKind.TRAFFIC, "5 1")
    record.take(11 * DAY_SECONDS, NoteKind.REFUSAL, "IN_USE 1 192.0.2.7 - USER ")
    record.take(12 * DAY_SECONDS, NoteKind.LOGIN, "192.0.2.7 - USER 3 4")
    record.forget_before(11 * DAY_SECONDS)
    left = record.read(12 * DAY_SECONDS)
    assert (left.week.octets, len(left.refused), left.last_login is None) == (0, 1, False)
    record.forget_before(12 * DAY_SECONDS)
    assert not record.read(12 * DAY_SECONDS).refused
    record.forget_before(13 * DAY_SECONDS)
    assert record.text == ""
