"""The client's parser: any cut of the octets gives the same replies; `NotPeep` is the only error."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from peep_client import NotPeep, Reply
from peep_client.protocol.replies import ReplyParser, Shape

MAX_LINES = 50

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=100)
negatives = st.integers(0, 999).map(lambda code: (Shape.SINGLE_LINE, Reply(f"-{code}")))
singles = texts.map(lambda text: (Shape.SINGLE_LINE, Reply(f"+{text}")))
lists = st.lists(texts, max_size=20).map(
    lambda lines: (Shape.MULTI_LINE, Reply(f"+{len(lines)}", tuple(lines)))
)
dialogues = st.lists(st.one_of(negatives, singles, lists), max_size=8)


def wire(reply: Reply) -> bytes:
    return "".join(f"{line}\r\n" for line in (reply.status, *reply.lines)).encode()


def pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [octets[start:end] for start, end in pairwise(places)]


def read(chunks: list[bytes], shapes: list[Shape]) -> tuple[list[Reply], bool]:
    """Return the replies that were read before the end or a refusal, and whether there was one."""
    parser = ReplyParser(MAX_LINES)
    wanted, found = iter(shapes), list[Reply]()
    shape = next(wanted, None)
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while shape is not None and (reply := parser.next_reply(shape)) is not None:
                found.append(reply)
                shape = next(wanted, None)
    except NotPeep:
        return found, True
    return found, False


@given(dialogues, st.lists(st.integers(0, 5000), max_size=30))
def test_any_cut_gives_the_replies_that_were_sent(
    dialogue: list[tuple[Shape, Reply]], cuts: list[int]
) -> None:
    octets = b"".join(wire(reply) for _, reply in dialogue)
    shapes = [shape for shape, _ in dialogue]
    assert read(pieces(octets, cuts), shapes) == ([reply for _, reply in dialogue], False)


garbage = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"+", b"-", b"\r\n", b"\r", b"\n", b"+2\r\n", b"-4\r\n", b"+60\r\n", b"x" * 300]),
    ),
    max_size=20,
).map(b"".join)


@given(garbage, st.lists(st.sampled_from(Shape), max_size=10), st.lists(st.integers(0, 5000), max_size=30))
def test_any_cut_of_garbage_comes_to_the_same(octets: bytes, shapes: list[Shape], cuts: list[int]) -> None:
    assert read(pieces(octets, cuts), shapes) == read([octets] if octets else [], shapes)
