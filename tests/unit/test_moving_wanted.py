"""What an old server lists, as it is wanted here."""

import pytest

from pop3_client import ListedMessage
from pop3_service.maildir.unique_ids import unique_part
from pop3_service.moving.wanted import (
    LONGEST_HEADER_OCTETS,
    HeaderDigest,
    StoredForm,
    WantedMessage,
    arrived_keys,
    key_in,
    wanted_messages,
)


def wanted(*unique_ids: bytes) -> list[WantedMessage]:
    return wanted_messages([ListedMessage(number, 10, one) for number, one in enumerate(unique_ids, 1)])


def test_unique_ids_are_kept_and_of_several_alike_the_first_one() -> None:
    messages = wanted(b"a", b"b", b"a", b"a")
    assert [message.unique_id for message in messages] == [b"a", b"b", b"", b""]
    assert len({message.key for message in messages}) == 4


@pytest.mark.parametrize("unique_id", [b"", b"a b", b"x" * 71, b"\xe4", b"a\x00", b":" + 40 * b"f"])
def test_unique_id_that_nobody_may_have_is_not_kept(unique_id: bytes) -> None:
    assert wanted(unique_id)[0].unique_id == b""


def test_key_of_a_message_is_the_same_in_every_session() -> None:
    assert [one.key for one in wanted(b"x", b"a", b"a")][1:] == [one.key for one in wanted(b"a", b"a")]


def test_key_is_found_in_the_name_of_a_file_whatever_its_time_and_flags() -> None:
    (message,) = wanted(b"a")
    name = message.file_name(1700000000)
    assert key_in(unique_part(name + b":2,S")) == message.key
    assert key_in(b"1700000000.M1.host") is None
    assert arrived_keys([b"1.M1.host", name + b":2,S"]) == {message.key: name}


@pytest.mark.parametrize(
    ("wire", "stored"),
    [
        ([b"a\r\n", b"b\r\n"], b"a\nb\n"),
        ([b"a\r", b"\n", b"b\r", b"c\r\n"], b"a\nb\rc\n"),
        ([b"a\r\r", b"\nb\r\r\n"], b"a\r\r\nb\r\r\n"),
        ([b"a\r", b"\r", b"\r", b"\n"], b"a\r\r\r\n"),
        ([b"a\nb\r\n"], b"a\nb\n"),
        ([b"a\r"], b"a\r"),
        ([], b""),
    ],
)
def test_line_ends_are_stored_as_maildirs_have_them_wherever_the_cuts_are(
    wire: list[bytes], stored: bytes
) -> None:
    form = StoredForm()
    assert b"".join([*map(form.feed, wire), form.end()]) == stored


def digest(*pieces: bytes) -> bytes:
    made = HeaderDigest()
    for piece in pieces:
        made.feed(piece)
    return made.value()


def test_digest_is_that_of_the_header_alone_in_any_form_and_with_any_cuts() -> None:
    expected = digest(b"A: b\nC: d\n\nbody")
    assert digest(b"A: b\r\nC: d\r\n\r\n") == expected
    assert digest(b"A: b\r", b"\nC: d\r\n", b"\r", b"\n", b"other\r\n") == expected
    assert digest(b"A: b\nC: d\n") == expected
    assert digest(b"A: b\nC: e\n\n") != expected
    assert digest(b"\r\nbody") == digest(b"")


def test_of_an_endless_header_the_beginning_is_compared() -> None:
    made = HeaderDigest()
    made.feed(b"x" * LONGEST_HEADER_OCTETS)
    assert not made.is_complete
    made.feed(b"y")
    made.feed(b"z")
    assert made.is_complete
