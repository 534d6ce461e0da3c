"""What `peepctl compare` says of two maildrops."""

from peepctl.comparison import compare
from pop3_client import ListedMessage


def maildrop(*messages: tuple[str, int]) -> list[ListedMessage]:
    return [ListedMessage(number, octets, one.encode()) for number, (one, octets) in enumerate(messages, 1)]


def test_same_mail_in_the_same_order_is_equal() -> None:
    result = compare(maildrop(("a", 10), ("b", 20)), maildrop(("a", 10), ("b", 20)))
    assert (result.is_equal, result.same, result.is_in_order) == (True, 2, True)


def test_two_empty_maildrops_are_equal() -> None:
    assert compare([], []).is_equal


def test_other_octets_are_a_difference() -> None:
    result = compare(maildrop(("a", 10), ("b", 1020)), maildrop(("a", 10), ("b", 1021)))
    assert (result.same, result.is_in_order) == (1, True)
    assert result.differences == ("message 2 (b) has 1,020 octets on the old server and 1,021 on the new",)


def test_message_of_one_server_alone_is_a_difference_and_not_one_of_order() -> None:
    result = compare(maildrop(("a", 10), ("b", 20)), maildrop(("b", 20), ("c", 30)))
    assert (result.same, result.is_in_order) == (1, True)
    assert result.differences == (
        "message 1 (a) is not on the new server",
        "message 2 (c) is only on the new server",
    )


def test_another_order_is_a_difference() -> None:
    result = compare(maildrop(("a", 1), ("b", 2), ("c", 3)), maildrop(("a", 1), ("c", 3), ("b", 2)))
    assert (result.same, result.is_in_order) == (3, False)
    assert result.differences == (
        "the order differs from the 2. shared message on: b on the old server, c on the new",
    )


def test_unique_id_that_stands_twice_is_a_difference_unless_both_servers_say_the_same() -> None:
    twice = maildrop(("a", 1), ("a", 2))
    assert compare(twice, twice).differences == ()
    result = compare(twice, maildrop(("a", 1), ("b", 2)))
    assert result.differences[0] == "2 messages on the old server have the unique-id a"


def test_many_differences_of_a_kind_are_counted() -> None:
    result = compare(maildrop(*((str(number), 1) for number in range(1203))), [])
    assert len(result.differences) == 4
    assert result.differences[-1] == "and 1,200 more like this"


def test_unique_id_that_is_no_text_is_shown_escaped() -> None:
    result = compare([ListedMessage(1, 5, b"\xff"), ListedMessage(2, 5, b"")], [])
    assert result.differences == (
        "message 1 (\\xff) is not on the new server",
        "message 2 (without a unique-id) is not on the new server",
    )
