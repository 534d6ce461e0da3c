"""What the POP3 client makes of a server's octets, without sockets."""

import pytest

from pop3_client import (
    InvalidArgument,
    ListedMessage,
    LoginPutOff,
    Misbehaved,
    Pop3Address,
    Security,
    WrongLogin,
)
from pop3_client.protocol import listings, requests
from pop3_client.protocol.replies import LONGEST_LISTED_OCTETS, MOST_LISTED, Lines, Multiline, Status


@pytest.mark.parametrize(
    ("line", "is_positive", "code", "text"),
    [
        (b"+OK\r\n", True, "", ""),
        (b"+ok hello \r\n", True, "", "hello"),
        (b"-ERR [in-use] taken\r\n", False, "IN-USE", "[in-use] taken"),
        (b"-ERR [SYS/TEMP]\r\n", False, "SYS/TEMP", "[SYS/TEMP]"),
        (b"-ERR \x1b[2Jgone\n", False, "", "[2Jgone"),
        (b"-ERR " + 500 * b"x", False, "", 200 * "x"),
    ],
)
def test_status_line_is_read(line: bytes, is_positive: bool, code: str, text: str) -> None:
    assert Status.of(line) == Status(is_positive, code, text)


@pytest.mark.parametrize("line", [b"", b"+OKAY\r\n", b"+ go on\r\n", b"220 smtp\r\n", b"\xff\xfe\r\n"])
def test_other_lines_are_no_status(line: bytes) -> None:
    with pytest.raises(Misbehaved):
        Status.of(line)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"-ERR [AUTH] no", WrongLogin),
        (b"-ERR no such user", WrongLogin),
        (b"-ERR", WrongLogin),
        (b"-ERR [IN-USE] taken", LoginPutOff),
        (b"-ERR [SYS/TEMP] away", LoginPutOff),
        (b"-ERR [LOGIN-DELAY] too soon", LoginPutOff),
        (b"-ERR mailbox is locked by another session", LoginPutOff),
        (b"-ERR server too busy, try again later", LoginPutOff),
        (b"-ERR [AUTH] the account is locked", WrongLogin),
    ],
)
def test_wrong_password_is_told_from_a_login_that_is_put_off(reply: bytes, error: type[Exception]) -> None:
    assert type(Status.of(reply).login_refusal("PASS", "secret")) is error


def test_reply_that_quotes_the_password_is_left_out() -> None:
    assert str(Status.of(b"-ERR unknown command secret").login_refusal("PASS", "secret")) == "it refuses PASS"


def test_stuffing_is_undone_and_the_termination_line_found() -> None:
    multiline = Multiline()
    assert multiline.feed(b"..a\r\n.b\r\n..\r\nx\r\n.\r\n+OK") == b".a\r\nb\r\n.\r\nx\r\n"
    assert (multiline.has_ended, multiline.rest) == (True, b"+OK")


@pytest.mark.parametrize("content", [b"a\n.\nb\r\n", b"a\r\n.\rb\r\n"])
def test_only_a_dot_between_two_crlf_ends_a_message(content: bytes) -> None:
    multiline = Multiline()
    multiline.feed(content)
    assert not multiline.has_ended


def test_empty_reply_has_no_lines() -> None:
    multiline = Multiline()
    assert multiline.feed(b".\r\n") == b""
    assert multiline.has_ended


def test_lines_may_end_with_a_bare_line_feed() -> None:
    lines = Lines()
    assert [*lines.feed(b"1 20\r\n2 "), *lines.feed(b"30\n")] == [b"1 20", b"2 30"]


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_endless_line_of_a_listing_is_refused(end: bytes) -> None:
    with pytest.raises(Misbehaved, match="a line of more than 1,024 octets"):
        Lines().feed(b"1" * (LONGEST_LISTED_OCTETS + 1) + end)


def test_endless_listing_is_refused() -> None:
    lines = Lines()
    lines.feed(b"\n" * MOST_LISTED)
    with pytest.raises(Misbehaved, match="more than 500,000 lines"):
        lines.feed(b"\n")


def test_both_listings_make_the_messages() -> None:
    octets = listings.scan_listing([b"1 120", b" 2  90 and more", b"4 0"])
    unique_ids = listings.unique_id_listing([b"1 abc", b"2 has a space ", b"4"])
    assert listings.listed_messages(octets, unique_ids) == [
        ListedMessage(1, 120, b"abc"),
        ListedMessage(2, 90, b"has a space"),
        ListedMessage(4, 0, b""),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        [b"x 1"],
        [b"1"],
        [b"1 -5"],
        [b""],
        [b"1 99999999999999999999"],
        [b"2 1", b"1 1"],
        [b"1 1", b"1 1"],
        [b"0 1"],
    ],
)
def test_malformed_scan_listing_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(Misbehaved):
        listings.scan_listing(lines)


def test_listings_of_different_messages_are_refused() -> None:
    with pytest.raises(Misbehaved, match="do not name the same messages"):
        listings.listed_messages({1: 10, 2: 20}, {1: b"a", 3: b"c"})


def test_capabilities_are_read_in_any_case() -> None:
    assert listings.capabilities([b"sasl Plain SCRAM-SHA-256", b"", b"UIDL"]) == {
        "SASL": ("PLAIN", "SCRAM-SHA-256"),
        "UIDL": (),
    }


def test_short_plain_response_comes_with_the_command_and_a_long_one_after_it() -> None:
    assert requests.plain_requests("tim", "tanstaaf") == [b"AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n"]
    command, response = requests.plain_requests("tim", 200 * "x")
    assert command == b"AUTH PLAIN\r\n"
    assert len(response) > 255


@pytest.mark.parametrize("password", ["a\r\nDELE 1", "a\0b", "\x7f"])
def test_password_that_would_be_another_command_is_not_sent(password: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        requests.request("PASS", password)
    assert password not in str(refusal.value)


def test_nul_cannot_divide_the_parts_of_plain_anew() -> None:
    with pytest.raises(InvalidArgument):
        requests.plain_requests("tim", "a\0b")


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("pop3s://old.example.org", Pop3Address("old.example.org", 995, Security.TLS), "old.example.org:995"),
        ("pop3://old:1110", Pop3Address("old", 1110, Security.NONE), "old:1110"),
        ("pop3://old?stls", Pop3Address("old", 110, Security.STLS), "old:110"),
        ("POP3S://[2001:db8::1]:9950/", Pop3Address("2001:db8::1", 9950, Security.TLS), "[2001:db8::1]:9950"),
    ],
)
def test_address_is_read_and_shown(url: str, address: Pop3Address, shown: str) -> None:
    assert Pop3Address.parse(url) == address
    assert str(address) == shown


@pytest.mark.parametrize(
    "url",
    [
        "old.example.org",
        "imap://old",
        "pop3s://old?stls",
        "pop3://old?tls",
        "pop3://alice:geheim@old",
        "pop3://old:0",
        "pop3://old:99999",
        "pop3://old/INBOX",
        "pop3://[::1",
        "pop3://",
    ],
)
def test_other_addresses_are_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        Pop3Address.parse(url)
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "is_private"),
    [
        ("pop3s://old", True),
        ("pop3://old?stls", True),
        ("pop3://localhost", True),
        ("pop3://127.0.0.2", True),
        ("pop3://[::1]", True),
        ("pop3://old", False),
        ("pop3://10.0.0.1", False),
    ],
)
def test_password_is_private_inside_tls_and_on_this_machine(url: str, is_private: bool) -> None:
    assert Pop3Address.parse(url).is_private is is_private
