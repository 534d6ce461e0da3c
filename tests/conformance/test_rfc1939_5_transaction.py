"""RFC 1939, section 5: the TRANSACTION state, with the RFC's own examples in our words."""

import pytest

from support.pop3_engine import EnginePeer, converse, message_of


def two_messages() -> EnginePeer:
    return EnginePeer([message_of(120), message_of(200)])


def test_stat_gives_messages_and_octets() -> None:
    converse("C: STAT\nS: +OK 2 320", two_messages(), logged_in=True)


def test_stat_omits_marked_messages() -> None:
    converse("C: DELE 1\nS: +OK ...\nC: STAT\nS: +OK 1 200", two_messages(), logged_in=True)


def test_list_with_and_without_an_argument() -> None:
    converse(
        """
        C: LIST
        S: +OK 2 messages (320 octets)
        S: 1 120
        S: 2 200
        S: .
        C: LIST 2
        S: +OK 2 200
        C: LIST 3
        S: -ERR no such message
        """,
        two_messages(),
        logged_in=True,
    )


def test_list_omits_marked_messages_and_renumbers_none() -> None:
    converse(
        """
        C: DELE 1
        S: +OK message marked as deleted
        C: LIST
        S: +OK 1 message (200 octets)
        S: 2 200
        S: .
        C: LIST 2
        S: +OK 2 200
        """,
        two_messages(),
        logged_in=True,
    )


def test_retr_sends_what_list_announced() -> None:
    content = b"Subject: hello\n\n.the body\nno end"
    peer = EnginePeer([content])
    converse("C: LIST 1\nS: +OK 1 37", peer, logged_in=True)
    peer.send(b"RETR 1\r\n")
    first_line, _, rest = peer.unread().partition(b"\r\n")
    assert first_line == b"+OK 37 octets"
    assert rest == b"Subject: hello\r\n\r\n..the body\r\nno end\r\n.\r\n"


@pytest.mark.parametrize("command", ["LIST 2", "RETR 2", "DELE 2", "TOP 2 0", "UIDL 2"])
def test_marked_message_cannot_be_referred_to(command: str) -> None:
    converse(
        f"C: DELE 2\nS: +OK ...\nC: {command}\nS: -ERR message is marked as deleted",
        two_messages(),
        logged_in=True,
    )


@pytest.mark.parametrize("number", ["0", "3", "00", "4294967297", "18446744073709551617", "9" * 200])
@pytest.mark.parametrize("command", ["LIST", "RETR", "DELE", "UIDL"])
def test_number_out_of_range_is_no_such_message(command: str, number: str) -> None:
    converse(
        f"C: {command} {number}\nS: -ERR no such message\nC: STAT\nS: +OK 2 320",
        two_messages(),
        logged_in=True,
    )


def test_leading_zeros_name_the_same_message_and_are_not_echoed() -> None:
    converse("C: LIST 0002\nS: +OK 2 200", two_messages(), logged_in=True)


def test_message_that_has_gone_is_one_error_and_the_session_goes_on() -> None:
    peer = two_messages()
    peer.vanished.add(b"unique1")
    converse(
        """
        C: RETR 1
        S: -ERR message was removed or changed by another program since login
        C: TOP 1 0
        S: -ERR message was removed or changed by another program since login
        C: NOOP
        S: +OK
        """,
        peer,
        logged_in=True,
    )


def test_noop_does_nothing() -> None:
    converse("C: NOOP\nS: +OK", two_messages(), logged_in=True)


def test_rset_takes_the_marks_away() -> None:
    converse(
        """
        C: DELE 1
        C: DELE 2
        S: +OK ...
        S: +OK ...
        C: STAT
        S: +OK 0 0
        C: RSET
        S: +OK 2 messages (320 octets)
        C: LIST
        S: +OK 2 messages (320 octets)
        S: 1 120
        S: 2 200
        S: .
        """,
        two_messages(),
        logged_in=True,
    )
