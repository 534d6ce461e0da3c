"""PEEP section 2.1: commencement, spaces, lengths, line ends (R10 to R15), and the bad input of P3 to P7."""

import pytest

from support.peep_gateway_server import CAPABILITIES, Gateway


@pytest.mark.parametrize(
    "line",
    [
        b"CAP?",
        b"Q",
        b"c??",
        b"?",
        b"+",
        b"u +",
        b"u+?",
        b"9",
        b"c1?",
        b"cap\xc2\xbf",
        b"abcdefghi",
        b"x" * 99,
    ],
)
async def test_commencement_is_lowercase_letters_and_at_most_one_mark(gateway: Gateway, line: bytes) -> None:
    """R10, R13, P4."""
    assert await gateway.replies_to(line + b"\r\n") == b"-0\r\n"


@pytest.mark.parametrize("line", [b"c=15", b"c?\tx", b"u+\tbob pw", b" c?", b" ", b"", b"c?\x00", b"\x00c?"])
async def test_only_a_space_ends_the_commencement(gateway: Gateway, line: bytes) -> None:
    """R11, R23, P4."""
    assert await gateway.replies_to(line + b"\r\n") == b"-0\r\n"


async def test_single_space_stands_before_each_argument(gateway: Gateway) -> None:
    """R11."""
    assert await gateway.replies_to(b"u+ bob pw\r\nc= 15\r\n") == b"+\r\n+\r\n"


@pytest.mark.parametrize(
    ("octets", "replies"),
    [
        (b"c?\nt?\r\n", b"-0\r\n"),
        (b"c?\rt?\r\n", b"-0\r\n"),
        (b"c?\n\r\n", b"-0\r\n"),
        (b"c?\r\r\n", b"-0\r\n"),
        (b"c= 15\n\r\n", b"-1\r\n"),
        (b"u- a\rb\r\n", b"-1\r\n"),
        (b"u- bob\nu- eve\r\n", b"-1\r\n"),
        (b"c?\n", b""),
        (b"c?\r", b""),
        (b"c?", b""),
    ],
)
async def test_only_crlf_ends_a_command(gateway: Gateway, octets: bytes, replies: bytes) -> None:
    """R12, P3; what comes without its line end is no command."""
    assert await gateway.replies_to(octets) == replies


async def test_argument_has_at_most_128_octets(gateway: Gateway) -> None:
    """R14."""
    assert await gateway.replies_to(b"u- " + b"n" * 128 + b"\r\n") == b"-4\r\n"
    assert await gateway.replies_to(b"u- " + b"n" * 129 + b"\r\n") == b"-1\r\n"
    assert await gateway.replies_to(b"u+ bob " + b"p" * 129 + b"\r\n") == b"-1\r\n"


async def test_two_longest_arguments_fit_into_a_command(gateway: Gateway) -> None:
    """R15."""
    longest = b"u+ " + b"x" * 128 + b" " + b"y" * 128 + b"\r\n"
    assert await gateway.replies_to(longest + b"u?\r\n") == b"+\r\n+1\r\n" + b"x" * 128 + b"\r\n"


@pytest.mark.parametrize(
    ("head", "logged_in", "reply"),
    [
        (b"u+ ", True, b"-1\r\n"),
        (b"c? ", True, b"-1\r\n"),
        (b"u+ ", False, b"-0\r\n"),
        (b"a ", False, b"-1\r\n"),
        (b"a ", True, b"-0\r\n"),
        (b"nonsense ", True, b"-0\r\n"),
        (b"", True, b"-0\r\n"),
    ],
)
@pytest.mark.parametrize("octets", [269, 270, 5000, 65_000])
async def test_overlong_line_is_answered_once_and_the_session_goes_on(
    gateway: Gateway, head: bytes, logged_in: bool, reply: bytes, octets: int
) -> None:
    """P6; the 268 octets of the text count the CRLF."""
    line = head.ljust(octets - 2, b"x") + b"\r\n"
    replies = await gateway.replies_to(line + b"cap?\r\n" + line, logged_in=logged_in)
    assert replies == reply + CAPABILITIES + reply


async def test_line_of_268_octets_is_not_overlong(gateway: Gateway) -> None:
    """P6: the surplus argument is ignored, which it would not be in a longer line."""
    longest = b"u+ " + b"u" * 100 + b" " + b"p" * 62 + b" " + b"s" * 99 + b"\r\n"
    assert len(longest) == 268
    assert await gateway.replies_to(longest) == b"+\r\n"
    assert await gateway.replies_to(longest.replace(b"\r\n", b"s\r\n")) == b"-1\r\n"


async def test_endless_line_closes_the_connection(gateway: Gateway) -> None:
    """P6: 64 KiB without CRLF."""
    assert await gateway.replies_to(b"c?\r\n" + b"u- " + b"x" * 70_000) == b"+1000\r\n"


@pytest.mark.parametrize("word", [b"a\x00b", b"\x7f", b"caf\xc3\xa9", b"\xff\xfe", b"a\tb", b"\x1b[2J"])
async def test_argument_is_printable_ascii(gateway: Gateway, word: bytes) -> None:
    """P5, in every place where an argument can stand."""
    stream = b"u- %s\r\nu+ bob %s\r\nm= /%s\r\nc= %s\r\nc? %s\r\n" % (word, word, word, word, word)
    assert await gateway.replies_to(stream) == b"-1\r\n" * 5
    assert await gateway.replies_to(b"a %s pw\r\n" % word, logged_in=False) == b"-1\r\n"


@pytest.mark.parametrize("name", [b"../x", b"a/b", b"/", b"/etc/passwd", b".", b"..", b".x", b"x/../y"])
async def test_user_name_that_leads_elsewhere_is_invalid(gateway: Gateway, name: bytes) -> None:
    """P11, for adding and for deleting; nothing is added."""
    assert await gateway.replies_to(b"u+ %s pw\r\nu- %s\r\nu?\r\n" % (name, name)) == b"-1\r\n-1\r\n+0\r\n"
