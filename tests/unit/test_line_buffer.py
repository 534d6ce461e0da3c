"""Lines out of octets: limits, over-long lines told once, lines that never end."""

import pytest

from line_server.lines import RUNAWAY, RUNAWAY_OCTETS, LineBuffer, OverlongLine, RunawayLine


def lines_of(*chunks: bytes, limit: int = 16) -> list[bytes | OverlongLine | RunawayLine]:
    """Return all that a buffer gives for these chunks, up to the first line that never ends."""
    buffer = LineBuffer(limit)
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
