"""RFC 1939, section 7: TOP and UIDL; PASS with spaces; APOP, which is left out on purpose."""

import pytest

from pop3_service.protocol.intentions import LogIn
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.session import Session
from support.pop3_engine import EnginePeer, converse, message_of

MESSAGE = b"Subject: top\nX-Dot: .\n\n.first\nsecond\nthird\n"
HEADER = "S: Subject: top\nS: X-Dot: .\nS:\n"


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ("0", ""),
        ("1", "S: ..first"),
        ("2", "S: ..first\nS: second"),
        ("3", "S: ..first\nS: second\nS: third"),
        ("4", "S: ..first\nS: second\nS: third"),
        ("9" * 100, "S: ..first\nS: second\nS: third"),
    ],
)
def test_top_sends_header_blank_line_and_so_many_body_lines(lines: str, shown: str) -> None:
    converse(f"C: TOP 1 {lines}\nS: +OK\n{HEADER}{shown}\nS: .", EnginePeer([MESSAGE]), logged_in=True)


def test_top_of_a_message_without_a_blank_line_sends_all_of_it() -> None:
    converse(
        "C: TOP 1 0\nS: +OK\nS: Subject: no body\nS: X: y\nS: .",
        EnginePeer([b"Subject: no body\nX: y"]),
        logged_in=True,
    )


def test_top_of_no_such_message_is_an_error() -> None:
    converse("C: TOP 100 3\nS: -ERR no such message", EnginePeer([MESSAGE]), logged_in=True)


def test_uidl_with_and_without_an_argument() -> None:
    converse(
        """
        C: UIDL
        S: +OK unique-id listing follows
        S: 1 unique1
        S: 2 unique2
        S: .
        C: UIDL 2
        S: +OK 2 unique2
        C: UIDL 3
        S: -ERR no such message
        """,
        EnginePeer([message_of(120), message_of(200)]),
        logged_in=True,
    )


def test_uidl_omits_marked_messages_and_renumbers_none() -> None:
    converse(
        "C: DELE 1\nS: +OK ...\nC: UIDL\nS: +OK ...\nS: 2 unique2\nS: .",
        EnginePeer([message_of(120), message_of(200)]),
        logged_in=True,
    )


@pytest.mark.parametrize("password", ["two words", " leading", "trailing ", "  ", "a  b", "PASS"])
def test_pass_takes_the_rest_of_the_line_as_the_password(password: str) -> None:
    session = Session("3f2a", Policy("Peep-1.0"))
    session.receive(b"USER mrose")
    assert session.receive(b"PASS " + password.encode()) == LogIn("mrose", password)


@pytest.mark.parametrize("line", ["PASS", "PASS "])
def test_pass_without_a_password_is_an_error(line: str) -> None:
    peer = EnginePeer()
    converse("S: +OK ...\nC: USER mrose\nS: +OK send PASS", peer)
    peer.send(line.encode() + b"\r\n")
    assert peer.unread() == b"-ERR an argument is missing\r\n"


def test_apop_is_unknown() -> None:
    converse(
        "S: +OK ...\nC: APOP mrose c4c9334bac560ecc979e58001b3e22fb\nS: -ERR unknown command", EnginePeer()
    )
