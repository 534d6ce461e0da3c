"""PEEP section 2.2: what replies look like, and when the default negative ones come (R16 to R27)."""

import pytest

from support.actors import OPERATOR
from support.peep_gateway_server import Gateway, add_users


async def test_every_line_of_every_reply_ends_with_crlf(gateway: Gateway) -> None:
    """R16."""
    replies = await gateway.replies_to(b"u+ bob pw\r\nu?\r\ncap?\r\nc?\r\nx\r\nu-\r\nq\r\n")
    assert replies.endswith(b"\r\n")
    assert replies.count(b"\n") == replies.count(b"\r") == replies.count(b"\r\n")


async def test_longest_line_stays_within_512_octets(gateway: Gateway) -> None:
    """R17."""
    name = b"n" * 128
    replies = await gateway.replies_to(b"u+ %s pw\r\nu?\r\n" % name)
    assert max(len(line) for line in replies.splitlines(keepends=True)) == 130


async def test_positive_single_line_replies_carry_nothing_an_integer_or_a_string(gateway: Gateway) -> None:
    """R18, R77."""
    await gateway.repository.announce_mail_directory("/srv/mail", overrides=True, by=OPERATOR)
    await gateway.converse("C: t= 10\nS: +\nC: t?\nS: +10\nC: m?\nS: +/srv/mail")


async def test_multiline_reply_announces_its_lines(gateway: Gateway) -> None:
    """R19; the indentation of the text's examples is not sent (P1)."""
    await add_users(gateway.repository, "alice", "bob", "charles")
    await gateway.converse("C: u?\nS: +3\nS: alice\nS: bob\nS: charles")


async def test_empty_multiline_reply_is_a_zero(gateway: Gateway) -> None:
    """R19."""
    await gateway.converse("C: u?\nS: +0\nC: cu?\nS: +0")


async def test_empty_command_is_unknown(gateway: Gateway) -> None:
    """R23; each of them is answered."""
    assert await gateway.replies_to(b"\r\n" * 100) == b"-0\r\n" * 100


@pytest.mark.parametrize("line", ["u+", "u+ bob", "u-", "c=", "m=", "t="])
async def test_too_few_arguments_are_invalid_syntax(gateway: Gateway, line: str) -> None:
    """R24; a space at the end supplies no argument (P5)."""
    assert await gateway.replies_to(f"{line}\r\n{line} \r\n".encode()) == b"-1\r\n-1\r\n"


async def test_too_few_arguments_of_the_login_are_invalid_syntax(gateway: Gateway) -> None:
    """R24."""
    assert await gateway.replies_to(b"a\r\na \r\na bob\r\na bob \r\n", logged_in=False) == b"-1\r\n" * 4


async def test_exceeding_arguments_are_ignored(gateway: Gateway) -> None:
    """R25, R34, R58: so is the rest of a password or a path with a space in it."""
    await gateway.converse(
        "C: c? x y z\nS: +1000\nC: u+ bob pass word\nS: +\nC: c= 15 16\nS: +\nC: c?\nS: +15"
    )


async def test_space_at_the_end_is_ignored(gateway: Gateway) -> None:
    """P5."""
    assert await gateway.replies_to(b"c? \r\nc= 15 \r\nu+ bob pw \r\n") == b"+1000\r\n+\r\n+\r\n"


@pytest.mark.parametrize(
    "line", [b"c=  15", b"u+  bob pw", b"u+ bob  pw", b"c?  x", b"c?  ", b"u?  ", b"q  x"]
)
async def test_two_spaces_in_a_row_are_invalid_syntax(gateway: Gateway, line: bytes) -> None:
    """R27, P5: whatever the command's number of arguments."""
    assert await gateway.replies_to(line + b"\r\nc?\r\n") == b"-1\r\n+1000\r\n"


@pytest.mark.parametrize("word", ["abc", "+5", "1e3", "1_0", "0x10", "5.0", "--5", "-", "5x", "1,000"])
async def test_what_is_no_integer_is_invalid_syntax(gateway: Gateway, word: str) -> None:
    """R26, P7: it is not out of range."""
    await gateway.converse(f"C: c= {word}\nS: -1\nC: t= {word}\nS: -1\nC: c?\nS: +1000\nC: t?\nS: +600")


async def test_unknown_command_is_told_before_invalid_syntax(gateway: Gateway) -> None:
    """R22, P5."""
    assert await gateway.replies_to(b"u+  \r\nnope  x\r\n", logged_in=False) == b"-0\r\n-0\r\n"
