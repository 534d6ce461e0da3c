"""Any cut gives the same octets; un-stuffing gives the message back; LIST announces what RETR sends."""

from hypothesis import given
from hypothesis import strategies as st

from pop3_service.protocol.multiline import (
    LINE_FEED,
    TopEncoder,
    WireEncoder,
    missing_end_octets,
    octets_and_plainness,
    wire_form,
)
from support.wire_octets import octets_on_the_wire

# Mostly the octets that matter, so that their meetings are common.
contents = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\n.", b"\n\n", b"\xff"]), max_size=40
).map(b"".join) | st.binary(max_size=200)
chunked = st.lists(contents, max_size=8)


def lines_of(content: bytes) -> list[bytes]:
    """Return the lines of a content without their ends: the definition, written as plainly as can be."""
    *ended, last = content.split(b"\n")
    return [line.removesuffix(b"\r") for line in ended] + ([last] if last else [])


def stuffed(lines: list[bytes]) -> bytes:
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def received(wire: bytes) -> list[bytes]:
    """Return the lines that a client reads from a multi-line reply (RFC 1939, section 3)."""
    *lines, rest = wire.split(b"\r\n")
    assert rest == b""
    assert lines.pop() == b"."
    assert b"." not in lines
    return [line.removeprefix(b".") for line in lines]


@given(contents)
def test_unstuffing_gives_the_lines_back(content: bytes) -> None:
    assert received(wire_form(content)) == lines_of(content)


@given(contents)
def test_the_short_way_of_plain_content_gives_the_same(content: bytes) -> None:
    if octets_and_plainness(content)[1]:
        assert wire_form(content, plain=True) == wire_form(content)
    else:
        assert b"\r" in content or any(line.startswith(b".") for line in content.split(b"\n"))


@given(contents)
def test_announced_octets_are_those_received(content: bytes) -> None:
    assert octets_on_the_wire(content) == sum(len(line) + 2 for line in received(wire_form(content)))


@given(chunked)
def test_no_cut_changes_the_octets_counted(chunks: list[bytes]) -> None:
    whole, counted, last_octet = b"".join(chunks), 0, LINE_FEED
    for chunk in filter(None, chunks):
        counted += octets_and_plainness(chunk, last_octet)[0]
        last_octet = chunk[-1]
    assert counted + missing_end_octets(last_octet) == octets_on_the_wire(whole)


@given(chunked)
def test_no_cut_changes_the_wire_form(chunks: list[bytes]) -> None:
    encoder = WireEncoder()
    sent = b"".join([encoder.feed(chunk) for chunk in chunks])
    assert sent + encoder.end() == wire_form(b"".join(chunks))


@given(contents, st.integers(0, 10))
def test_top_is_header_blank_line_and_so_many_lines(content: bytes, body_lines: int) -> None:
    lines = lines_of(content)
    header = lines.index(b"") + 1 if b"" in lines else len(lines)
    encoder = TopEncoder(body_lines)
    assert encoder.feed(content) + encoder.end() == stuffed(lines[: header + body_lines])


@given(chunked, st.integers(0, 10))
def test_no_cut_changes_top(chunks: list[bytes], body_lines: int) -> None:
    whole, cut = TopEncoder(body_lines), TopEncoder(body_lines)
    sent = b"".join([cut.feed(chunk) for chunk in chunks])
    assert sent + cut.end() == whole.feed(b"".join(chunks)) + whole.end()
    assert cut.is_complete == whole.is_complete


@given(contents)
def test_top_of_everything_is_the_whole_message(content: bytes) -> None:
    encoder = TopEncoder(len(content))
    assert encoder.feed(content) + encoder.end() == wire_form(content)
