"""What a server sends the client reads, whatever the cuts."""

from hypothesis import given
from hypothesis import strategies as st

from pop3_client.protocol.replies import Lines, Multiline
from pop3_service.protocol.multiline import wire_form
from support.wire_octets import octets_on_the_wire

contents = st.lists(
    st.sampled_from([b"\r", b".", b"a", b"\r\n", b"\r\n.", b"\r\r\n", b"\xff"]), max_size=40
).map(b"".join)
cuts = st.lists(st.integers(1, 9), max_size=30)


def pieces(octets: bytes, sizes: list[int]) -> list[bytes]:
    """Cut octets into pieces of these sizes, and the rest."""
    cut = []
    for size in sizes:
        cut.append(octets[:size])
        octets = octets[size:]
    return [*cut, octets]


@given(contents, cuts, st.binary(max_size=8))
def test_message_is_the_one_that_our_own_service_sends(
    content: bytes, sizes: list[int], after: bytes
) -> None:
    multiline = Multiline()
    received = b"".join(
        multiline.feed(one) for one in pieces(wire_form(content) + after, sizes) if not multiline.has_ended
    )
    ended = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert received == ended
    assert len(received) == octets_on_the_wire(content)


@given(st.lists(st.binary(max_size=20).filter(lambda line: not {*b"\r\n"} & {*line}), max_size=20), cuts)
def test_lines_are_the_same_for_all_cuts(lines: list[bytes], sizes: list[int]) -> None:
    reader = Lines()
    octets = b"".join(line + b"\r\n" for line in lines)
    assert [line for one in pieces(octets, sizes) for line in reader.feed(one)] == lines
