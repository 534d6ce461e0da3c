"""Any cut of the stream gives the same lines, and an unfinished line never takes more than the limit."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from line_server.lines import RUNAWAY, RUNAWAY_OCTETS, LineBuffer, OverlongLine, RunawayLine

LIMIT = 12

# Mostly the octets that matter, and now and then so many of one that a line runs away.
streams = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n", b"a", b"bc", b"\0", b"\xff", b"x" * 11])
    | st.integers(min_value=RUNAWAY_OCTETS - 3, max_value=RUNAWAY_OCTETS + 3).map(lambda n: b"y" * n),
    max_size=30,
).map(b"".join)
cuts = st.lists(st.integers(min_value=0, max_value=200), max_size=12)

Told = list[bytes | OverlongLine | RunawayLine]


def chunks_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Return the stream cut at its first octets' places `cuts`, which is where most lines are."""
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(places)]


def lines_as_defined(stream: bytes) -> Told:
    """Return the lines by the definition, written as plainly as can be."""
    *ended, rest = stream.split(b"\r\n")
    told: Told = []
    for line in ended:
        if len(line) > RUNAWAY_OCTETS:
            return [*told, RUNAWAY]
        told.append(line if len(line) + 2 <= LIMIT else OverlongLine((line + b"\r\n")[:LIMIT]))
    # A CR at the end may yet turn out to be half of a line's end.
    return [*told, RUNAWAY] if len(rest.removesuffix(b"\r")) > RUNAWAY_OCTETS else told


def taken(buffer: LineBuffer) -> Told:
    told: Told = []
    while (line := buffer.next()) is not None:
        told.append(line)
        if isinstance(line, RunawayLine):
            break
    return told


@given(streams, cuts)
def test_any_cut_gives_the_lines_of_the_definition(stream: bytes, cuts: list[int]) -> None:
    buffer = LineBuffer(LIMIT)
    told: Told = []
    for chunk in chunks_of(stream, cuts):
        buffer.feed(chunk)
        told += taken(buffer)
        if told and told[-1] is RUNAWAY:
            break
    assert told == lines_as_defined(stream)


@given(streams, cuts)
def test_lines_taken_late_are_the_same_as_lines_taken_at_once(stream: bytes, cuts: list[int]) -> None:
    buffer = LineBuffer(LIMIT)
    for chunk in chunks_of(stream, cuts):
        buffer.feed(chunk)
    assert buffer.pending_octets == len(stream)
    assert taken(buffer) == lines_as_defined(stream)


@given(streams, cuts)
def test_once_all_lines_are_taken_no_more_than_the_limit_is_kept(stream: bytes, cuts: list[int]) -> None:
    buffer = LineBuffer(LIMIT)
    for chunk in chunks_of(stream, cuts):
        buffer.feed(chunk)
        if RUNAWAY in taken(buffer):
            break
        assert buffer.pending_octets < LIMIT
        assert len(buffer._head or b"") <= LIMIT
