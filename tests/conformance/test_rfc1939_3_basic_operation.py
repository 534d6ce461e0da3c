"""RFC 1939, section 3: greeting, keywords, arguments, multi-line replies, errors, byte-stuffing."""

import pytest

from pop3_service.protocol.intentions import LogIn
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.session import Session
from support.pop3_engine import EnginePeer, converse, message_of


def test_greeting_is_one_positive_line_with_the_session_id() -> None:
    converse("S: +OK Peep ready 3f2a", EnginePeer())


def test_keywords_are_case_insensitive() -> None:
    converse(
        """
        S: +OK ...
        C: user mrose
        S: +OK send PASS
        C: pAsS tanstaaf
        S: +OK 2 messages (320 octets)
        C: stat
        S: +OK 2 320
        C: Uidl 2
        S: +OK 2 unique2
        """,
        EnginePeer([message_of(120), message_of(200)]),
    )


def test_multi_line_reply_ends_with_a_single_dot() -> None:
    converse(
        """
        C: LIST
        S: +OK 2 messages (320 octets)
        S: 1 120
        S: 2 200
        S: .
        """,
        EnginePeer([message_of(120), message_of(200)]),
        logged_in=True,
    )


def test_lines_that_open_with_a_dot_are_stuffed() -> None:
    converse(
        """
        C: RETR 1
        S: +OK 20 octets
        S: ..
        S: ..opens
        S: a.b
        S: ...
        S: .
        """,
        EnginePeer([b".\n.opens\r\na.b\n.."]),
        logged_in=True,
    )


def test_unrecognized_command_is_refused_in_each_state() -> None:
    converse("S: +OK ...\nC: XTND\nS: -ERR unknown command", EnginePeer())
    converse("C: XTND\nS: -ERR unknown command", EnginePeer(), logged_in=True)


def test_command_of_another_state_is_refused() -> None:
    transaction = ("STAT", "LIST", "UIDL", "RETR 1", "TOP 1 0", "DELE 1", "RSET", "NOOP")
    refused = [f"C: {line}\nS: -ERR not before login" for line in transaction]
    converse("\n".join(["S: +OK ...", *refused]), EnginePeer())
    authorization = "C: USER mrose\nS: -ERR not after login\nC: PASS x\nS: -ERR not after login"
    converse(authorization, EnginePeer(), logged_in=True)


def test_nothing_is_answered_after_quit() -> None:
    converse(
        """
        S: +OK ...
        C: QUIT
        C: CAPA
        S: +OK Peep signing off
        S: <closed>
        """,
        EnginePeer(),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "unknown command"),
        (" STAT", "unknown command"),
        ("    ", "unknown command"),
        ("RETR  1", "one space goes before each argument"),
        ("TOP 1  1 ", "one space goes before each argument"),
        ("RETR ", "an argument is missing"),
        ("TOP 1 ", "an argument is missing"),
        ("STAT\tx", "line holds a control or 8-bit octet"),
        ("STAT\0junk", "line holds a control or 8-bit octet"),
        ("NOOP \u00e9", "line holds a control or 8-bit octet"),
        ("RETR 1\rDELE 1", "line holds a control or 8-bit octet"),
        ("STAT\r", "line holds a control or 8-bit octet"),
        ("NOOP x", "too many arguments"),
        ("LIST 1 2", "too many arguments"),
        ("RETR", "an argument is missing"),
        ("TOP 1", "an argument is missing"),
        ("RETR one", "a number is written in decimal digits only"),
        ("RETR +1", "a number is written in decimal digits only"),
        ("RETR -1", "a number is written in decimal digits only"),
        ("DELE 0x1", "a number is written in decimal digits only"),
        ("DELE 1_0", "a number is written in decimal digits only"),
        ("TOP 1 -1", "a number is written in decimal digits only"),
        ("NOOP " + "x" * 250, "line is longer than 255 octets"),
    ],
)
def test_malformed_line_gets_one_error_that_says_why_and_the_session_goes_on(line: str, reason: str) -> None:
    peer = EnginePeer([message_of(120)])
    converse("", peer, logged_in=True)
    peer.send(line.encode() + b"\r\nSTAT\r\n")
    assert peer.read_line() == f"-ERR {reason}\r\n".encode()
    assert peer.read_line() == b"+OK 1 120\r\n"
    assert peer.unread() == b""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n", b"   \r\n"])
@pytest.mark.parametrize(
    "command", [b"STAT", b"stat", b"LIST 1", b"RETR 9", b"TOP 1 0", b"CAPA", b"NOOP", b"UIDL"]
)
def test_bare_lf_ends_a_line_and_spaces_at_its_end_change_nothing(command: bytes, end: bytes) -> None:
    replies = []
    for line in (command + b"\r\n", command + end):
        peer = EnginePeer([message_of(120)])
        converse("", peer, logged_in=True)
        peer.send(line)
        replies.append(peer.unread())
    assert replies[0] == replies[1] != b""


def test_whole_session_of_lines_that_end_with_lf_is_answered_in_lines_that_end_with_crlf() -> None:
    peer = EnginePeer([message_of(120)])
    peer.send(b"USER mrose \nPASS tanstaaf\nLIST \nDELE 1\nQUIT \n")
    assert peer.unread().splitlines(keepends=True)[1:] == [
        b"+OK send PASS\r\n",
        b"+OK 1 message (120 octets)\r\n",
        b"+OK 1 message (120 octets)\r\n",
        b"1 120\r\n",
        b".\r\n",
        b"+OK message marked as deleted\r\n",
        b"+OK Peep signing off\r\n",
    ]
    assert peer.mail == {}


@pytest.mark.parametrize(("line", "password"), [(b"PASS tan staaf ", "tan staaf "), (b"PASS  ", " ")])
def test_spaces_of_a_password_are_its_own(line: bytes, password: str) -> None:
    session = Session("3f2a", Policy("Peep"))
    session.receive(b"USER mrose  ")
    assert session.receive(line) == LogIn("mrose", password)


def test_line_of_255_octets_is_not_too_long() -> None:
    peer = EnginePeer()
    converse("", peer, logged_in=True)
    peer.send(b"RETR " + b"9" * 248 + b"\r\n")
    assert peer.read_line() == b"-ERR no such message\r\n"
