"""RFC 1939, section 4 (with USER and PASS of section 7): the AUTHORIZATION state."""

import pytest

from support.pop3_engine import EnginePeer, converse, message_of


def test_login_by_user_and_pass_opens_the_maildrop() -> None:
    peer = converse(
        """
        S: +OK Peep ready 3f2a
        C: USER mrose
        S: +OK send PASS
        C: PASS tanstaaf
        S: +OK 1 message (369 octets)
        """,
        EnginePeer([message_of(369)]),
    )
    assert peer.session.username == "mrose"


def test_empty_maildrop_is_opened_as_well() -> None:
    converse("C: STAT\nS: +OK 0 0\nC: LIST\nS: +OK 0 messages (0 octets)\nS: .", EnginePeer(), logged_in=True)


def test_user_says_yes_to_a_name_that_nobody_has() -> None:
    converse("S: +OK ...\nC: USER frated\nS: +OK send PASS", EnginePeer())


def test_wrong_password_leaves_authorization_where_user_must_come_again() -> None:
    peer = converse(
        """
        S: +OK ...
        C: USER mrose
        S: +OK send PASS
        C: PASS maskof
        S: -ERR [AUTH] wrong user name or password
        C: PASS tanstaaf
        S: -ERR send USER right before PASS
        C: STAT
        S: -ERR not before login
        C: USER mrose
        S: +OK send PASS
        C: PASS tanstaaf
        S: +OK 0 messages (0 octets)
        """,
        EnginePeer(),
    )
    assert peer.session.username == "mrose"


@pytest.mark.parametrize(
    ("between", "answer"),
    [
        ("NOOP", "-ERR not before login"),
        ("JUNK", "-ERR unknown command"),
        ("STAT x", "-ERR too many arguments"),
        ("USER ../mrose", "-ERR a user name is ..."),
        ("USER", "-ERR an argument is missing"),
        ("x" * 300, "-ERR line is longer than 255 octets"),
    ],
)
def test_pass_counts_immediately_after_user_only(between: str, answer: str) -> None:
    converse(
        f"""
        S: +OK ...
        C: USER mrose
        S: +OK send PASS
        C: {between}
        S: {answer}
        C: PASS tanstaaf
        S: -ERR send USER right before PASS
        """,
        EnginePeer(),
    )


def test_capa_between_user_and_pass_takes_the_name_back() -> None:
    peer = EnginePeer()
    peer.send(b"USER mrose\r\nCAPA\r\nPASS tanstaaf\r\n")
    assert peer.unread().endswith(b"\r\n.\r\n-ERR send USER right before PASS\r\n")


def test_the_last_user_counts() -> None:
    converse(
        "S: +OK ...\nC: USER frated\nC: USER mrose\nC: PASS tanstaaf\n"
        "S: +OK send PASS\nS: +OK send PASS\nS: +OK 0 messages (0 octets)",
        EnginePeer(),
    )


@pytest.mark.parametrize("name", ["../x", "a/b", "/", ".hidden", "..", "x" * 129])
def test_name_that_could_lead_out_of_the_mail_directory_is_refused(name: str) -> None:
    converse(f"S: +OK ...\nC: USER {name}\nS: -ERR a user name is ...", EnginePeer())


def test_name_with_a_space_is_too_many_arguments() -> None:
    converse("S: +OK ...\nC: USER marshall rose\nS: -ERR too many arguments", EnginePeer())


def test_quit_before_login_ends_the_session_and_removes_nothing() -> None:
    peer = converse(
        "S: +OK ...\nC: QUIT\nS: +OK Peep signing off\nS: <closed>", EnginePeer([message_of(120)])
    )
    assert len(peer.mail) == 1
