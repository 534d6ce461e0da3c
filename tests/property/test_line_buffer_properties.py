"""Any cut of the stream gives the same lines, and an unfinished line never takes more than the limit."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from line_server.lines import RUNAWAY, RUNAWAY_OCTETS, LineBuffer, OverlongLine, RunawayLine

LIMIT = 12
HIGHER_LIMIT = 30
"""That of lines that begin with `bc`."""

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


def new_buffer(takes_bare_lf: bool) -> LineBuffer:
    return LineBuffer(LIMIT, takes_bare_lf=takes_bare_lf, limit_of=limit_of)


def limit_of(beginning: bytes) -> int:
    return HIGHER_LIMIT if beginning.startswith(b"bc") else 0


def lines_as_defined(stream: bytes, takes_bare_lf: bool) -> Told:
    """Return the lines by the definition, written as plainly as can be."""
    *ended, rest = stream.split(b"\n" if takes_bare_lf else b"\r\n")
    told: Told = []
    for before in ended:
        line = before.removesuffix(b"\r") if takes_bare_lf else before
        end = b"\n" if takes_bare_lf and line == before else b"\r\n"
        if len(line) > RUNAWAY_OCTETS:
            return [*told, RUNAWAY]
        limit = HIGHER_LIMIT if line.startswith(b"bc") else LIMIT
        told.append(line if len(line + end) <= limit else OverlongLine((line + end)[:LIMIT]))
    # A CR at the end may yet turn out to be half of a line's end.
    return [*told, RUNAWAY] if len(rest.removesuffix(b"\r")) > RUNAWAY_OCTETS else told


def taken(buffer: LineBuffer) -> Told:
    told: Told = []
    while (line := buffer.next()) is not None:
        told.append(line)
        if isinstance(line, RunawayLine):
            break
    return told


@given(streams, cuts, st.booleans())
def test_any_cut_gives_the_lines_of_the_definition(
    stream: bytes, cuts: list[int], takes_bare_lf: bool
) -> None:
    buffer = new_buffer(takes_bare_lf)
    told: Told = []
    for chunk in chunks_of(stream, cuts):
        buffer.feed(chunk)
        told += taken(buffer)
        if told and told[-1] is RUNAWAY:
            break
    assert told == lines_as_defined(stream, takes_bare_lf)


@given(streams, cuts, st.booleans())
def test_lines_taken_late_are_the_same_as_lines_taken_at_once(
    stream: bytes, cuts: list[int], takes_bare_lf: bool
) -> None:
    buffer = new_buffer(takes_bare_lf)
    for chunk in chunks_of(stream, cuts):
        buffer.feed(chunk)
    assert buffer.pending_octets == len(stream)
    assert taken(buffer) == lines_as_defined(stream, takes_bare_lf)


@given(streams, cuts, st.booleans())
def test_once_all_lines_are_taken_no_more_than_the_limit_is_kept(
    stream: bytes, cuts: list[int], takes_bare_lf: bool
) -> None:
    buffer = new_buffer(takes_bare_lf)
    for chunk in chunks_of(stream, cuts):
        buffer.feed(chunk)
        if RUNAWAY in taken(buffer):
            break
        assert buffer.pending_octets < HIGHER_LIMIT
        assert buffer.pending_octets < LIMIT or buffer.unfinished.startswith(b"bc")
        assert len(buffer._head or b"") <= LIMIT


@given(st.sampled_from([b"", b"a", b"bc", b"a\r"]), streams, cuts)
def test_any_cut_after_a_line_that_was_ended_without_its_end_gives_the_same_lines(
    begun: bytes, stream: bytes, cuts: list[int]
) -> None:
    buffer = new_buffer(takes_bare_lf=True)
    buffer.feed(begun)
    buffer.end_line()
    for chunk in chunks_of(stream, cuts):
        buffer.feed(chunk)
    its_end = b"\r\n" if stream.startswith(b"\r\n") else b"\n"
    assert taken(buffer) == [
        *lines_as_defined(begun + b"\r\n", True),
        *lines_as_defined(stream.removeprefix(its_end), True),
    ]
