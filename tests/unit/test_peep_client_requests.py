"""What the client sends, what it refuses to send, and what it makes of capabilities and sessions."""

import pytest

from peep_client import InvalidArgument, NegativeReply, NotPeep, Session
from peep_client.protocol.commands import KNOWN, PIPELINING, raw_request, request
from peep_client.protocol.records import SlowDown, parse_capabilities, parse_session, parse_slow_down
from peep_client.protocol.replies import Shape
from peep_gateway.protocol import commands as gateway
from peep_gateway.protocol.replies import ReplyKind


def test_command_is_one_line() -> None:
    assert request("u+", "alice", "secret").octets == b"u+ alice secret\r\n"
    assert request("c=", 500).octets == b"c= 500\r\n"
    assert request("cap?").octets == b"cap?\r\n"


@pytest.mark.parametrize(
    "value", ["", "two words", "a\r\nq", "a\nb", "tab\t", "café", "nul\0", "\x7f", "x" * 129]
)
def test_argument_that_no_command_can_carry_is_refused(value: str) -> None:
    with pytest.raises(InvalidArgument, match="the password"):
        request("u+", "alice", value)


def test_refusal_does_not_tell_the_password() -> None:
    with pytest.raises(InvalidArgument) as refusal:
        request("u+", "alice", "hunter two")
    assert "hunter" not in str(refusal.value)


def test_longest_argument_is_taken() -> None:
    assert len(request("u-", "x" * 128).octets) == 3 + 128 + 2


def test_raw_line_is_sent_as_it_is() -> None:
    assert raw_request("c=  5").octets == b"c=  5\r\n"
    assert raw_request("").octets == b"\r\n"
    assert raw_request("caf\u00e9").octets == "café\r\n".encode()


@pytest.mark.parametrize("line", ["t?\r\nq", "t?\n", "\r"])
def test_raw_line_with_a_line_end_is_refused(line: str) -> None:
    with pytest.raises(InvalidArgument):
        raw_request(line)


def test_shape_of_a_raw_line_is_the_tables_or_the_callers() -> None:
    assert raw_request("u?").shape is Shape.MULTI_LINE
    assert raw_request("zz?").shape is Shape.SINGLE_LINE
    assert raw_request("zz?", multi_line=True).shape is Shape.MULTI_LINE


def test_table_agrees_with_the_gateways() -> None:
    for row in gateway.COMMANDS:
        known = KNOWN[row.commencement]
        assert known.syntax.count("<") == row.syntax.count("<")
        assert (known.shape is Shape.MULTI_LINE) == (row.reply is ReplyKind.MULTI_LINE)
        assert known.is_extension == row.is_extension
        if row.negative_code is not None:
            assert list(known.codes) == [row.negative_code.value]


def test_capabilities_are_read_as_the_text_writes_them() -> None:
    capabilities = parse_capabilities(("a", "c=1-500", "t=0-300"))
    assert capabilities.authentication == ("a",)
    assert capabilities.integers == {"c=": range(1, 501), "t=": range(0, 301)}
    assert capabilities.extensions == ()
    assert not capabilities.pipelines


def test_extensions_are_what_the_text_does_not_know() -> None:
    capabilities = parse_capabilities(("a", "c=1-1000000", "t=0-86400", "k-", "s?", "n=-5-5", "v?", "p="))
    assert set(capabilities.extensions) == {*PIPELINING, "n="}
    assert capabilities.integers["n="] == range(-5, 6)
    assert capabilities.pipelines


@pytest.mark.parametrize("line", ["", "UPPER", "x=1-", "c= 1-500", "toolongword?", "x?extra"])
def test_capability_of_another_form_is_kept_as_it_came(line: str) -> None:
    capabilities = parse_capabilities(("a", line))
    assert capabilities.lines == ("a", line)
    assert capabilities.extensions == ()


def test_session_is_read_with_and_without_user() -> None:
    assert parse_session("4f-1 alice 10.0.0.1 17") == Session("4f-1", "alice", "10.0.0.1", 17)
    whole = parse_session("4f-3 bob ::1 9 TLSv1.3 5120 3 1 2 100/4000 later")
    assert whole == Session("4f-3", "bob", "::1", 9, "TLSv1.3", 5120, 3, 1, 2, 100, 4000)
    assert parse_session("4f-3 bob ::1 9 - 7 0 0 - -") == Session("4f-3", "bob", "::1", 9, None, 7, 0, 0)
    assert parse_session("4f-2 - ::1 0 more") == Session("4f-2", None, "::1", 0, "more")


@pytest.mark.parametrize("line", ["", "4f-1 alice 10.0.0.1", "4f-1 alice 10.0.0.1 long", "4f-1  10.0.0.1 5"])
def test_session_of_another_form_is_refused(line: str) -> None:
    with pytest.raises(NotPeep):
        parse_session(line)


def test_slow_down_is_read_of_a_network_a_user_an_administrator_and_all_of_it() -> None:
    assert parse_slow_down("a1 203.0.113.9 - 60 112 5") == SlowDown(
        "a1", "203.0.113.9", None, is_administrator=False, seconds=60, attempts=112, seconds_left=5
    )
    assert parse_slow_down("b2 - b%25b 0 1 60 more") == SlowDown("b2", None, "b%b", False, 0, 1, 60)
    assert parse_slow_down("c3 2001:db8::/64 administrator/a%20b%2Fc 1 2 3") == SlowDown(
        "c3", "2001:db8::/64", "a b/c", True, 1, 2, 3
    )


@pytest.mark.parametrize(
    "line", ["", "a1 203.0.113.9 - 60 112", "a1 203.0.113.9 - 60 many 5", "a1  - 60 112 5", "a1 - - 1 2 -3"]
)
def test_slow_down_of_another_form_is_refused(line: str) -> None:
    with pytest.raises(NotPeep):
        parse_slow_down(line)


def test_negative_reply_says_code_and_meaning() -> None:
    assert str(NegativeReply("u+", 3)) == "-3 to u+: user name already in use"
    assert "does not define" in str(NegativeReply("x", 99))
