"""RFC 1939, section 6: the UPDATE state. Nothing is removed but by QUIT, and QUIT has one reply."""

from support.pop3_engine import EnginePeer, converse, message_of


def two_messages() -> EnginePeer:
    return EnginePeer([message_of(120), message_of(200)])


def test_quit_with_nothing_marked_signs_off() -> None:
    peer = converse("C: QUIT\nS: +OK Peep signing off\nS: <closed>", two_messages(), logged_in=True)
    assert len(peer.mail) == 2


def test_quit_removes_the_marked_messages() -> None:
    peer = converse(
        "C: DELE 1\nS: +OK ...\nC: QUIT\nS: +OK Peep signing off\nS: <closed>", two_messages(), logged_in=True
    )
    assert list(peer.mail) == [b"unique2"]


def test_quit_after_rset_removes_nothing() -> None:
    peer = converse(
        "C: DELE 1\nC: RSET\nC: QUIT\nS: +OK ...\nS: +OK ...\nS: +OK Peep signing off\nS: <closed>",
        two_messages(),
        logged_in=True,
    )
    assert len(peer.mail) == 2


def test_message_that_could_not_be_removed_makes_the_one_reply_negative() -> None:
    peer = two_messages()
    peer.stuck.add(b"unique1")
    converse(
        """
        C: DELE 1
        C: DELE 2
        S: +OK ...
        S: +OK ...
        C: QUIT
        S: -ERR [SYS/TEMP] some deleted messages not removed
        S: <closed>
        """,
        peer,
        logged_in=True,
    )
    assert list(peer.mail) == [b"unique1"]


def test_lost_lock_removes_nothing_and_says_so() -> None:
    peer = two_messages()
    peer.holds_lock = False
    converse(
        """
        C: DELE 1
        S: +OK ...
        C: QUIT
        S: -ERR [SYS/TEMP] the maildrop's lock could not be held, nothing was removed
        S: <closed>
        """,
        peer,
        logged_in=True,
    )
    assert len(peer.mail) == 2


def test_session_that_ends_without_quit_removes_nothing() -> None:
    peer = converse("C: DELE 1\nS: +OK ...", two_messages(), logged_in=True)
    peer.send(b"QUIT")  # half a command, then the connection is lost
    assert len(peer.mail) == 2
    assert not peer.is_closed


def test_session_ended_by_mistakes_removes_nothing() -> None:
    peer = converse("C: DELE 1\nS: +OK ...", two_messages(), logged_in=True)
    peer.send(b"JUNK\r\n" * 20)
    assert peer.is_closed
    assert len(peer.mail) == 2
