import pytest

from pop3_service.protocol.maildrop import Maildrop, MaildropContents, Message


def contents_of(*octets: int) -> MaildropContents:
    unique_ids = [b"id%d" % number for number in range(1, len(octets) + 1)]
    messages = [Message(name, size, None) for name, size in zip(unique_ids, octets, strict=True)]
    return MaildropContents(messages, octets, unique_ids)


@pytest.fixture
def maildrop() -> Maildrop:
    return Maildrop(contents_of(120, 200, 50))


def test_contents_sum_their_octets() -> None:
    assert contents_of(120, 200, 50).octets == 370
    assert contents_of().octets == 0


def test_listings_without_marks_are_the_shared_octets() -> None:
    contents = contents_of(120, 200)
    first, second = Maildrop(contents), Maildrop(contents)
    assert first.drop_listing() is second.drop_listing() is contents.drop_listing
    assert first.scan_listing() is second.scan_listing() is contents.scan_listing
    assert first.unique_id_listing() is second.unique_id_listing() is contents.unique_id_listing


def test_listings_have_every_message(maildrop: Maildrop) -> None:
    assert maildrop.drop_listing() == b"+OK 3 370\r\n"
    assert maildrop.scan_listing() == b"+OK 3 messages (370 octets)\r\n1 120\r\n2 200\r\n3 50\r\n.\r\n"
    assert maildrop.unique_id_listing().endswith(b"\r\n1 id1\r\n2 id2\r\n3 id3\r\n.\r\n")


def test_listings_omit_marked_messages_and_renumber_none(maildrop: Maildrop) -> None:
    maildrop.mark_deleted(2)
    assert maildrop.drop_listing() == b"+OK 2 170\r\n"
    assert maildrop.scan_listing() == b"+OK 2 messages (170 octets)\r\n1 120\r\n3 50\r\n.\r\n"
    assert maildrop.unique_id_listing().endswith(b"\r\n1 id1\r\n3 id3\r\n.\r\n")


def test_marks_of_one_session_do_not_show_in_another() -> None:
    contents = contents_of(120, 200)
    first, second = Maildrop(contents), Maildrop(contents)
    first.mark_deleted(1)
    assert second.count == 2
    assert second.scan_listing() == contents.scan_listing


@pytest.mark.parametrize("number", [-1, 0, 4, 4294967297, 10**200])
def test_number_out_of_range_is_no_message_and_takes_no_mark(maildrop: Maildrop, number: int) -> None:
    assert maildrop.message(number) is None
    maildrop.mark_deleted(number)
    assert maildrop.marked() == ()
    assert maildrop.octets == 370


def test_marking_twice_counts_once(maildrop: Maildrop) -> None:
    maildrop.mark_deleted(2)
    maildrop.mark_deleted(2)
    assert (maildrop.count, maildrop.octets) == (2, 170)
    assert maildrop.is_marked(2)
    assert maildrop.message(2) is None


def test_marked_messages_come_in_the_order_of_their_numbers() -> None:
    maildrop = Maildrop(contents_of(*range(1, 41)))
    for number in (33, 8, 1, 40):
        maildrop.mark_deleted(number)
    assert [message.unique_id for message in maildrop.marked()] == [b"id1", b"id8", b"id33", b"id40"]


def test_unmarking_brings_everything_back(maildrop: Maildrop) -> None:
    before = maildrop.scan_listing()
    maildrop.mark_deleted(1)
    maildrop.unmark_all()
    assert maildrop.scan_listing() is before
    assert (maildrop.count, maildrop.octets, maildrop.marked()) == (3, 370, ())


def test_marks_are_counted(maildrop: Maildrop) -> None:
    maildrop.mark_deleted(1)
    maildrop.mark_deleted(3)
    assert maildrop.marked_count == 2
    maildrop.unmark_all()
    assert maildrop.marked_count == 0
