"""Lines out of octets: limits, over-long lines told once, lines that never end."""

import pytest

from line_server.lines import RUNAWAY, RUNAWAY_OCTETS, LineBuffer, OverlongLine, RunawayLine


def lines_of(
    *chunks: bytes, limit: int = 16, takes_bare_lf: bool = False
) -> list[bytes | OverlongLine | RunawayLine]:
    """Return all that a buffer gives for these chunks, up to the first line that never ends."""
    buffer = LineBuffer(limit, takes_bare_lf=takes_bare_lf)
    told: list[bytes | OverlongLine | RunawayLine] = []
    for chunk in chunks:
        buffer.feed(chunk)
        while (line := buffer.next()) is not None:
            told.append(line)
            if isinstance(line, RunawayLine):
                return told
    return told


def test_several_lines_in_one_chunk_come_out_in_order_without_their_ends() -> None:
    assert lines_of(b"STAT\r\n\r\nQUIT\r\n") == [b"STAT", b"", b"QUIT"]


def test_a_line_without_its_end_waits_for_it() -> None:
    assert lines_of(b"STA") == []
    assert lines_of(b"STA", b"T\r", b"\nQ") == [b"STAT"]


@pytest.mark.parametrize("octets", [b"a\rb", b"a\nb", b"a\n\rb", b"\r\r", b"\n", b"a\0b", b"\xff\xfe"])
def test_a_lone_cr_or_lf_and_every_other_octet_is_part_of_the_line(octets: bytes) -> None:
    assert lines_of(octets + b"\r\n") == [octets]


def test_a_line_of_exactly_the_limit_passes_and_one_octet_more_is_overlong() -> None:
    assert lines_of(b"x" * 14 + b"\r\n") == [b"x" * 14]
    assert lines_of(b"x" * 15 + b"\r\n") == [OverlongLine(b"x" * 15 + b"\r")]


def test_an_overlong_line_is_told_once_and_the_next_line_is_whole() -> None:
    chunks = [b"abcdefgh" * 10] * 30 + [b"\r", b"\nNOOP\r\n"]
    assert lines_of(*chunks) == [OverlongLine(b"abcdefghabcdefgh"), b"NOOP"]


def test_an_overlong_line_is_told_only_at_its_end() -> None:
    assert lines_of(b"x" * 1000, b"y" * 1000) == []


def test_the_cr_of_an_overlong_lines_end_may_be_the_last_octet_of_a_chunk() -> None:
    assert lines_of(b"x" * 99 + b"\r", b"\nNOOP\r\n") == [OverlongLine(b"x" * 16), b"NOOP"]


def test_a_cr_at_a_chunks_end_that_no_lf_follows_ends_nothing() -> None:
    assert lines_of(b"x" * 99 + b"\r", b"NOOP\r\n", b"RSET\r\n") == [OverlongLine(b"x" * 16), b"RSET"]


def test_sixty_four_kibibytes_are_overlong_and_one_octet_more_runs_away() -> None:
    assert lines_of(b"x" * RUNAWAY_OCTETS + b"\r\n") == [OverlongLine(b"x" * 16)]
    assert lines_of(b"x" * RUNAWAY_OCTETS + b"y\r\n") == [RUNAWAY]


def test_a_line_runs_away_although_it_comes_in_small_chunks_and_never_ends() -> None:
    chunk = b"x" * 1000
    fitting = RUNAWAY_OCTETS // 1000
    assert lines_of(*[chunk] * fitting) == []
    assert lines_of(*[chunk] * (fitting + 1)) == [RUNAWAY]


def test_an_overlong_line_does_not_count_towards_the_next_ones_running_away() -> None:
    line = b"x" * (RUNAWAY_OCTETS - 10) + b"\r\n"
    assert lines_of(line, line) == [OverlongLine(b"x" * 16)] * 2


def test_a_greater_limit_holds_from_the_next_line_on() -> None:
    buffer = LineBuffer(8)
    buffer.feed(b"AUTH\r\n" + b"x" * 20 + b"\r\nNOOP-NOOP\r\n")
    assert buffer.next() == b"AUTH"
    buffer.max_line_octets = 64
    assert buffer.next() == b"x" * 20
    buffer.max_line_octets = 8
    assert buffer.next() == OverlongLine(b"NOOP-NOO")


def test_a_bare_lf_ends_a_line_where_that_is_chosen_and_a_lone_cr_does_not() -> None:
    octets = b"STAT\nLIST\r\n\n\r\na\rb\r\r\nQUIT\n"
    assert lines_of(octets, takes_bare_lf=True) == [b"STAT", b"LIST", b"", b"", b"a\rb\r", b"QUIT"]
    assert lines_of(*[bytes([octet]) for octet in octets], takes_bare_lf=True) == lines_of(
        octets, takes_bare_lf=True
    )


def test_the_limit_counts_one_octet_for_a_bare_lf() -> None:
    assert lines_of(b"x" * 15 + b"\n", takes_bare_lf=True) == [b"x" * 15]
    assert lines_of(b"x" * 16 + b"\n", takes_bare_lf=True) == [OverlongLine(b"x" * 16)]
    assert lines_of(b"x" * 15 + b"\r\n", takes_bare_lf=True) == [OverlongLine(b"x" * 15 + b"\r")]


def test_what_a_line_begins_with_may_give_it_a_higher_limit() -> None:
    buffer = LineBuffer(8, limit_of=lambda beginning: 20 if beginning.startswith(b"AUTH ") else 8)
    for octets in (b"AUTH 6789012345678\r\n", b"AUTH 67890123456789\r\n", b"NOOP 67\r\n", b"NOOP\r\n"):
        buffer.feed(octets)
    assert buffer.next() == b"AUTH 6789012345678"
    assert buffer.next() == OverlongLine(b"AUTH 678")
    assert buffer.next() == OverlongLine(b"NOOP 67\r")
    assert buffer.next() == b"NOOP"


@pytest.mark.parametrize("rest", [[b"\r\n"], [b"\n"], [b"\r", b"\n"], [b"", b"\r", b"", b"\n"], []])
def test_the_end_of_a_line_that_was_ended_without_it_is_passed_over(rest: list[bytes]) -> None:
    buffer = LineBuffer(16, takes_bare_lf=True)
    buffer.feed(b"UTF8")
    assert buffer.next() is None
    assert buffer.unfinished == b"UTF8"
    buffer.end_line()
    assert buffer.next() == b"UTF8"
    for chunk in rest:
        buffer.feed(chunk)
        assert buffer.next() is None
    buffer.feed(b"CAPA\r\n")
    assert buffer.next() == b"CAPA"
    buffer.feed(b"\r\n")
    assert buffer.next() == b""


def test_only_its_own_end_is_passed_over_after_a_line_that_was_ended_without_it() -> None:
    buffer = LineBuffer(16, takes_bare_lf=True)
    buffer.feed(b"UTF8")
    buffer.end_line()
    for chunk in (b"\r", b"STAT\n", b"\n"):
        buffer.feed(chunk)
    assert [buffer.next() for _ in range(4)] == [b"UTF8", b"\rSTAT", b"", None]


def test_what_has_come_of_an_overlong_line_is_no_unfinished_line() -> None:
    buffer = LineBuffer(16)
    buffer.feed(b"x" * 20)
    assert buffer.next() is None
    buffer.feed(b"UTF8")
    assert buffer.unfinished == b""


@pytest.mark.parametrize("octets", [b"STAT\r\nQUIT\r\n", b"STAT\nQUIT\n", b"\nQUIT\n", b"x\r\r\nQUIT\n"])
def test_a_line_that_is_given_back_is_the_next_one_again(octets: bytes) -> None:
    buffer = LineBuffer(16, takes_bare_lf=True)
    buffer.feed(b"CAPA\n" + octets)
    assert buffer.next() == b"CAPA"
    line = buffer.next()
    assert isinstance(line, bytes)
    buffer.give_back(line)
    buffer.feed(b"NOOP\n")
    assert [buffer.next() for _ in range(4)] == [line, b"QUIT", b"NOOP", None]


def test_pending_octets_are_those_not_yet_taken_as_lines() -> None:
    buffer = LineBuffer(100)
    buffer.feed(b"STAT\r\nLIST\r\nQU")
    assert buffer.pending_octets == 14
    assert buffer.next() == b"STAT"
    assert buffer.pending_octets == 8
    buffer.feed(b"IT\r\n")
    assert buffer.pending_octets == 12
    assert [buffer.next(), buffer.next(), buffer.next()] == [b"LIST", b"QUIT", None]
    assert buffer.pending_octets == 0


@pytest.mark.parametrize(("most", "repeated"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_repetitions_of_a_line_are_counted_and_skipped_up_to_another_line(most: int, repeated: int) -> None:
    buffer = LineBuffer(16)
    buffer.feed(b"a?\r\na?\r\na?\r\na? \r\na?\r\na?")
    assert buffer.next() == b"a?"
    assert buffer.repetitions(b"a?", most) == repeated
    buffer.skip_repetitions(b"a?", repeated)
    assert [buffer.next() for _ in range(3 - repeated)] == [b"a?"] * (2 - repeated) + [b"a? "]


def test_a_repetition_without_its_end_is_none_yet() -> None:
    buffer = LineBuffer(16)
    buffer.feed(b"a?\r\na?\r")
    assert buffer.next() == b"a?"
    assert buffer.repetitions(b"a?", 9) == 0
    buffer.feed(b"\n")
    assert buffer.repetitions(b"a?", 9) == 1
