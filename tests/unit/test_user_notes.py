"""What an instance notes of users until the next exchange, and what is forgotten of a record."""

from collections import defaultdict

from state_store.credentials.attempts import RefusalReason
from state_store.user_notes import MOST_REFUSALS, Origin, UserNotes
from state_store.user_records import DAY_SECONDS, RecordText, group_text, records_in

HOME = Origin("192.0.2.7", "TLSv1.3", "USER")


def taken(notes: UserNotes) -> dict[str, list[str]]:
    """Return what was noted of each user, as the store has it."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in notes.take().split("\n"):
        user, _, text = line.partition("\t")
        found[user].append(text)
    return dict(found)


def test_traffic_of_a_user_is_one_note_however_often_it_was_counted() -> None:
    notes = UserNotes()
    notes.traffic("alice", 10, 0)
    notes.traffic("alice", 5, 1)
    notes.traffic("", 7, 0)
    assert taken(notes) == {"alice": ["t 15 1"], "": ["t 7 0"]}
    assert not notes


def test_a_login_and_what_was_sent_after_it_are_one_note() -> None:
    notes = UserNotes()
    notes.login("alice", HOME, 20, 614_400)
    notes.traffic("alice", 300, 0)
    assert taken(notes) == {"alice": ["l 192.0.2.7 TLSv1.3 USER 20 614400 300 0"]}
    notes.traffic("alice", 9, 0)
    assert taken(notes) == {"alice": ["t 9 0"]}


def test_refusals_before_a_login_do_not_count_after_it_and_those_after_it_do() -> None:
    notes = UserNotes()
    notes.refusal("alice", RefusalReason.WRONG_PASSWORD, HOME)
    notes.login("alice", HOME, 1, 2)
    notes.refusal("alice", RefusalReason.IN_USE, HOME, "by 198.51.100.4")
    notes.login("bob", HOME, 1, 2)
    record = RecordText()
    for note in taken(notes)["alice"]:
        record.take(5, note)
    assert {one.reason.name: one.count for one in record.read(5).refused} == {
        "WRONG_PASSWORD": 0,
        "IN_USE": 1,
    }


def test_names_that_nobody_has_are_not_kept() -> None:
    notes = UserNotes()
    for number in range(MOST_REFUSALS):
        notes.refusal(f"guess{number}", RefusalReason.UNKNOWN_USER, HOME)
    notes.refusal("no user/name", RefusalReason.REPEATED, HOME)
    assert taken(notes) == {"": [f"r UNKNOWN_USER {MOST_REFUSALS} - - -", "r REPEATED 1 - - -"]}


def test_a_flood_of_names_is_kept_as_a_number() -> None:
    notes = UserNotes()
    for number in range(3 * MOST_REFUSALS):
        notes.refusal(f"guess{number}", RefusalReason.SLOWED_DOWN, HOME)
    found = taken(notes)
    assert len(found) == MOST_REFUSALS + 1
    assert found[""] == [f"r SLOWED_DOWN {2 * MOST_REFUSALS} - - -"]


def test_nothing_is_noted_where_nothing_is_kept() -> None:
    notes = UserNotes(is_kept=False)
    notes.login("alice", HOME, 1, 2)
    notes.traffic("alice", 1, 1)
    notes.refusal("alice", RefusalReason.IN_USE, HOME)
    notes.traffic("", 3, 0)
    assert not notes
    assert notes.take() == ""


def test_what_is_old_is_forgotten_part_by_part() -> None:
    record = RecordText()
    record.take(10 * DAY_SECONDS, "t 5 1")
    record.take(11 * DAY_SECONDS, "r IN_USE 1 192.0.2.7 - USER ")
    record.take(12 * DAY_SECONDS, "l 192.0.2.7 - USER 3 4 0 0")
    record.forget_before(11 * DAY_SECONDS)
    left = record.read(12 * DAY_SECONDS)
    assert (left.week.octets, len(left.refused), left.last_login is None) == (0, 1, False)
    record.forget_before(12 * DAY_SECONDS)
    assert not record.read(12 * DAY_SECONDS).refused
    record.forget_before(13 * DAY_SECONDS)
    assert record.text == ""


def test_refusals_that_are_added_out_of_order_keep_the_last_one() -> None:
    record = RecordText()
    record.take(20, "r REPEATED 1 192.0.2.7 - USER ")
    record.take(10, "r REPEATED 2 192.0.2.8 - USER ")
    (refused,) = record.read(20).refused
    assert (refused.at, refused.count, refused.origin.address) == (20, 3, "192.0.2.7")


def test_a_group_has_a_line_of_each_user_of_whom_something_is_kept() -> None:
    text = group_text({"alice": "1:2:3 0:0\t\t", "bob": "", "carol": "\t5 - - - 1 2\t"})
    assert text == "\nalice\t1:2:3 0:0\t\t\ncarol\t\t5 - - - 1 2\t\n"
    assert records_in(text) == {"alice": "1:2:3 0:0\t\t", "carol": "\t5 - - - 1 2\t"}
    assert group_text({"bob": ""}) == ""
    assert records_in("") == records_in("\n") == {}
