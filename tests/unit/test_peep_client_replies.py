"""The client's parser: what is a PEEP reply, and what is none."""

import pytest

from peep_client import NotPeep, Reply
from peep_client.protocol.replies import MAX_REPLY_LINE_OCTETS, ReplyParser, Shape

SINGLE, MULTI = Shape.SINGLE_LINE, Shape.MULTI_LINE


def parsed(octets: bytes, *shapes: Shape, max_lines: int = 100) -> list[Reply | None]:
    parser = ReplyParser(max_lines)
    parser.feed(octets)
    return [parser.next_reply(shape) for shape in shapes]


@pytest.mark.parametrize(
    ("octets", "status"),
    [(b"+\r\n", "+"), (b"+2612\r\n", "+2612"), (b"+~/Maildir/\r\n", "+~/Maildir/"), (b"-4\r\n", "-4")],
)
def test_single_line_is_a_whole_reply(octets: bytes, status: str) -> None:
    assert parsed(octets, SINGLE) == [Reply(status)]


def test_count_is_followed_by_so_many_lines() -> None:
    assert parsed(b"+3\r\nalice\r\nbob\r\ncharles\r\n", MULTI) == [Reply("+3", ("alice", "bob", "charles"))]


def test_empty_list_is_a_reply() -> None:
    assert parsed(b"+0\r\n+\r\n", MULTI, SINGLE) == [Reply("+0"), Reply("+")]


def test_negative_reply_is_a_single_line_where_several_were_expected() -> None:
    (reply,) = parsed(b"-8\r\n", MULTI)
    assert reply is not None
    assert (reply.code, reply.is_positive, reply.lines) == (8, False, ())


def test_lines_of_a_list_may_begin_as_replies_do() -> None:
    assert parsed(b"+2\r\n-1\r\n+9\r\n", MULTI) == [Reply("+2", ("-1", "+9"))]


def test_unfinished_reply_is_none_yet() -> None:
    parser = ReplyParser()
    for octets in (b"+", b"2\r", b"\na\r\n", b"b\r"):
        parser.feed(octets)
        assert parser.next_reply(MULTI) is None
    assert parser.has_octets
    parser.feed(b"\n")
    assert parser.next_reply(MULTI) == Reply("+2", ("a", "b"))
    assert not parser.has_octets


def test_longest_line_is_taken() -> None:
    octets = b"+" + b"x" * (MAX_REPLY_LINE_OCTETS - 3) + b"\r\n"
    (reply,) = parsed(octets, SINGLE)
    assert reply is not None
    assert len(reply.status) == MAX_REPLY_LINE_OCTETS - 2


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_longer_line_is_refused_with_and_without_its_end(end: bytes) -> None:
    with pytest.raises(NotPeep, match="over 512 octets"):
        parsed(b"+" + b"x" * (MAX_REPLY_LINE_OCTETS - 2 + (not end)) + end, SINGLE)


@pytest.mark.parametrize(
    "octets",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"-ERR unknown command\r\n",
        b"-\r\n",
        b"-x\r\n",
        b"-1234\r\n",
        b"\r\n",
        b" +\r\n",
        b"+a\rb\r\n",
        b"+a\nb\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
    ],
)
def test_other_protocols_are_told_apart(octets: bytes) -> None:
    with pytest.raises(NotPeep):
        parsed(octets, SINGLE)


@pytest.mark.parametrize("status", [b"+", b"+many", b"+-1", b"+1 ", b"+1e3", b"+\xd9\xa3"])
def test_list_without_its_number_is_refused(status: bytes) -> None:
    with pytest.raises(NotPeep, match="no number of lines"):
        parsed(status + b"\r\n", MULTI)


def test_more_lines_than_allowed_are_refused_before_they_come() -> None:
    with pytest.raises(NotPeep, match="101 lines; at most 100 are read"):
        parsed(b"+101\r\n", MULTI)


def test_octets_that_are_no_utf8_are_written_out() -> None:
    assert parsed(b"+/mail/caf\xe9\r\n", SINGLE) == [Reply("+/mail/caf\\xe9")]
    assert parsed("+/mail/café\r\n".encode(), SINGLE) == [Reply("+/mail/café")]


def test_garbage_is_shown_without_what_a_terminal_obeys() -> None:
    with pytest.raises(NotPeep) as refusal:
        parsed(b"\x1b[2J boo\r\n", SINGLE)
    assert "\x1b" not in str(refusal.value)
