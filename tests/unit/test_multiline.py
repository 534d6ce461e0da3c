import pytest

from pop3_service.protocol.multiline import (
    TopEncoder,
    WireEncoder,
    missing_end_octets,
    octets_and_plainness,
    wire_form,
)
from support.wire_octets import octets_on_the_wire

CONTENTS = [
    # content, its octets on the wire, its wire form
    (b"", 0, b".\r\n"),
    (b"\n", 2, b"\r\n.\r\n"),
    (b"\r\n", 2, b"\r\n.\r\n"),
    (b"a", 3, b"a\r\n.\r\n"),
    (b"a\n", 3, b"a\r\n.\r\n"),
    (b"a\r\n", 3, b"a\r\n.\r\n"),
    (b"a\nb\r\nc", 9, b"a\r\nb\r\nc\r\n.\r\n"),
    (b"a\r\nb\nc\n", 9, b"a\r\nb\r\nc\r\n.\r\n"),
    # A dot that opens the message, a line after LF, a line after CRLF; alone on its line; at the end.
    (b".", 3, b"..\r\n.\r\n"),
    (b".a\n.b\r\n.c", 12, b"..a\r\n..b\r\n..c\r\n.\r\n"),
    (b".\n.\n", 6, b"..\r\n..\r\n.\r\n"),
    (b"..\n", 4, b"...\r\n.\r\n"),
    (b"a.\n.", 7, b"a.\r\n..\r\n.\r\n"),
    (b"a.b\n", 5, b"a.b\r\n.\r\n"),
    # A CR without LF is an ordinary octet: no line ends there, so no dot is doubled after it.
    (b"a\rb\n", 5, b"a\rb\r\n.\r\n"),
    (b"a\r.b\n", 6, b"a\r.b\r\n.\r\n"),
    (b"\r.\n", 4, b"\r.\r\n.\r\n"),
    (b"\r\r\n", 3, b"\r\r\n.\r\n"),
    (b"a\r\r\nb\n", 7, b"a\r\r\nb\r\n.\r\n"),
    (b"a\r", 4, b"a\r\r\n.\r\n"),
    (b"\r", 3, b"\r\r\n.\r\n"),
    (b"a\n\rb\r\n", 7, b"a\r\n\rb\r\n.\r\n"),
]


@pytest.mark.parametrize(("content", "octets", "_wire"), CONTENTS)
def test_octets_count_every_line_end_as_crlf(content: bytes, octets: int, _wire: bytes) -> None:
    assert octets_on_the_wire(content) == octets


@pytest.mark.parametrize(("content", "_octets", "wire"), CONTENTS)
def test_wire_form_has_crlf_ends_stuffed_dots_and_a_termination_line(
    content: bytes, _octets: int, wire: bytes
) -> None:
    assert wire_form(content) == wire


@pytest.mark.parametrize(("content", "octets", "wire"), CONTENTS)
def test_cutting_at_every_octet_changes_nothing(content: bytes, octets: int, wire: bytes) -> None:
    counted, encoder, sent = 0, WireEncoder(), b""
    for position in range(len(content)):
        octet = content[position : position + 1]
        counted += octets_and_plainness(octet, encoder.last_octet)[0]
        sent += encoder.feed(octet)
    assert counted + missing_end_octets(encoder.last_octet) == octets
    assert sent + encoder.end() == wire


def top(content: bytes, body_lines: int) -> bytes:
    encoder = TopEncoder(body_lines)
    return encoder.feed(content) + encoder.end()


@pytest.mark.parametrize("blank", [b"\n", b"\r\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_top_finds_the_blank_line_whatever_ends_the_lines(end: bytes, blank: bytes) -> None:
    content = b"A: 1" + end + b"B: 2" + end + blank + b"one" + end + b"two" + end
    assert top(content, 0) == b"A: 1\r\nB: 2\r\n\r\n.\r\n"
    assert top(content, 1) == b"A: 1\r\nB: 2\r\n\r\none\r\n.\r\n"
    assert top(content, 2) == top(content, 3) == b"A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n.\r\n"


@pytest.mark.parametrize(
    ("content", "body_lines", "shown"),
    [
        (b"", 5, b".\r\n"),
        (b"A: 1\n", 0, b"A: 1\r\n.\r\n"),
        (b"A: 1", 0, b"A: 1\r\n.\r\n"),
        (b"\nbody\n", 0, b"\r\n.\r\n"),
        (b"\r\nbody\n", 0, b"\r\n.\r\n"),
        (b"\n\n\nx\n", 2, b"\r\n\r\n\r\n.\r\n"),
        (b"A: 1\n\n.one\n.two\n", 1, b"A: 1\r\n\r\n..one\r\n.\r\n"),
        (b"A: 1\n\none\ntwo", 2, b"A: 1\r\n\r\none\r\ntwo\r\n.\r\n"),
        # A line that holds a CR is not blank.
        (b"A: 1\r\n\r\r\nB: 2\n", 0, b"A: 1\r\n\r\r\nB: 2\r\n.\r\n"),
        (b"A: 1\n\nbody\r", 9, b"A: 1\r\n\r\nbody\r\r\n.\r\n"),
    ],
)
def test_top_shows_header_blank_line_and_body_lines(content: bytes, body_lines: int, shown: bytes) -> None:
    assert top(content, body_lines) == shown


def test_top_is_complete_as_soon_as_it_has_seen_enough() -> None:
    encoder = TopEncoder(1)
    assert encoder.feed(b"A: 1\r\n\r") == b"A: 1\r\n\r"
    assert not encoder.is_complete
    assert encoder.feed(b"\none\ntwo\n") == b"\none\r\n"
    assert encoder.is_complete
    assert encoder.feed(b"three\n") == b""
    assert encoder.end() == b".\r\n"


def test_top_takes_more_lines_than_a_machine_word_counts() -> None:
    assert top(b"A: 1\n\none\n", 10**250) == b"A: 1\r\n\r\none\r\n.\r\n"
