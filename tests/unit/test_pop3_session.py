import base64

import pytest

from pop3_service.protocol import replies
from pop3_service.protocol.commands import State
from pop3_service.protocol.intentions import (
    BeginScram,
    Challenge,
    HangUp,
    LogIn,
    RemoveMarked,
    SendMessage,
    UpdateOutcome,
)
from pop3_service.protocol.maildrop import Message
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.replies import LoginRefusal, MessageFault
from pop3_service.protocol.session import OutOfTurn, Session
from support.pop3_engine import contents_of

FIRST = Message(b"first", 120, "location 1")
SECOND = Message(b"second", 200, "location 2")


@pytest.fixture
def session() -> Session:
    return Session("3f2a", Policy("Peep-1.0"))


@pytest.fixture
def open_session(session: Session) -> Session:
    session.complete(log_in(session), contents_of([FIRST, SECOND]))
    return session


def log_in(session: Session) -> LogIn:
    session.receive(b"USER alice")
    intention = session.receive(b"PASS secret")
    assert isinstance(intention, LogIn)
    return intention


def send_message(session: Session, line: bytes) -> SendMessage:
    intention = session.receive(line)
    assert isinstance(intention, SendMessage)
    return intention


def test_session_starts_in_authorization_with_nobody_logged_in(session: Session) -> None:
    assert session.state is State.AUTHORIZATION
    assert session.username is None
    assert session.greeting() == b"+OK Peep ready 3f2a\r\n"


def test_pass_asks_for_a_login_and_changes_nothing_yet(session: Session) -> None:
    session.receive(b"USER alice")
    assert session.receive(b"PASS secret") == LogIn("alice", "secret")
    assert session.state is State.AUTHORIZATION
    assert session.username is None


def test_login_enters_transaction_under_the_name_given(open_session: Session) -> None:
    assert open_session.state is State.TRANSACTION
    assert open_session.username == "alice"


def test_password_does_not_show_when_the_intention_is_printed() -> None:
    assert "secret" not in repr(LogIn("alice", "secret"))


def test_retr_asks_for_the_whole_message(open_session: Session) -> None:
    intention = send_message(open_session, b"RETR 2")
    assert intention == SendMessage(SECOND, None)
    assert open_session.complete(intention, None) == b"+OK 200 octets\r\n"


def test_top_asks_for_some_lines(open_session: Session) -> None:
    intention = send_message(open_session, b"TOP 1 10")
    assert intention == SendMessage(FIRST, 10)
    assert open_session.complete(intention, None) == b"+OK\r\n"


def test_message_that_cannot_be_sent_is_refused_and_the_session_goes_on(open_session: Session) -> None:
    intention = send_message(open_session, b"RETR 1")
    assert open_session.complete(intention, MessageFault.GONE) == MessageFault.GONE.value
    assert open_session.receive(b"NOOP") == replies.OK


def test_quit_with_marks_asks_for_their_removal_in_update(open_session: Session) -> None:
    open_session.receive(b"DELE 2")
    assert open_session.receive(b"QUIT") == RemoveMarked((SECOND,))
    assert open_session.state is State.UPDATE


def test_nothing_is_done_after_quit(open_session: Session) -> None:
    assert open_session.receive(b"QUIT") == HangUp(replies.SIGNING_OFF, "quit")
    assert open_session.receive(b"RSET") == replies.SESSION_IS_ENDING
    assert open_session.receive(b"QUIT") == replies.SESSION_IS_ENDING


def test_a_line_is_not_taken_while_an_outcome_is_due(open_session: Session) -> None:
    intention = send_message(open_session, b"RETR 2")
    for take in (open_session.receive, open_session.receive_overlong):
        with pytest.raises(OutOfTurn, match="SendMessage is due"):
            take(b"NOOP")
    assert open_session.complete(intention, None) == b"+OK 200 octets\r\n"


def test_an_outcome_is_taken_once_and_only_of_the_intention_that_is_due(session: Session) -> None:
    intention = log_in(session)
    with pytest.raises(OutOfTurn, match="RemoveMarked is not due"):
        session.complete(RemoveMarked(()), UpdateOutcome.ALL_REMOVED)
    with pytest.raises(OutOfTurn, match="LogIn is not due"):
        session.complete(LogIn("alice", "secret"), contents_of([]))
    assert session.username is None
    session.complete(intention, contents_of([]))
    with pytest.raises(OutOfTurn, match="LogIn is not due"):
        session.complete(intention, LoginRefusal.WRONG_CREDENTIALS)
    assert session.username == "alice"


@pytest.mark.parametrize("mistake", [b"JUNK", b"RETR x", b"NOOP 1", b"STAT\0", b"\xff", b"", b"RETR"])
def test_twenty_mistakes_in_a_row_end_the_session(session: Session, mistake: bytes) -> None:
    for _ in range(19):
        assert isinstance(session.receive(mistake), bytes)
    assert session.receive(mistake) == HangUp(replies.TOO_MANY_MISTAKES, "not a POP3 client")


def test_overlong_lines_count_as_mistakes(session: Session) -> None:
    for _ in range(19):
        assert session.receive_overlong() == replies.LINE_TOO_LONG
    assert session.receive_overlong() == HangUp(replies.TOO_MANY_MISTAKES, "not a POP3 client")


@pytest.mark.parametrize("well_formed", [b"RETR 99", b"NOOP", b"PASS x", b"USER bob"])
def test_well_formed_command_starts_the_count_of_mistakes_again(
    open_session: Session, well_formed: bytes
) -> None:
    for _ in range(5):
        for _ in range(19):
            assert isinstance(open_session.receive(b"JUNK"), bytes)
        assert isinstance(open_session.receive(well_formed), bytes)


def test_well_formed_command_starts_the_count_again_before_login_too(session: Session) -> None:
    for _ in range(100):
        assert session.receive(b"STAT") == replies.LOG_IN_FIRST


@pytest.mark.parametrize("octet", [*range(0x20), *range(0x7F, 0x100)])
def test_control_or_8_bit_octet_anywhere_is_refused(octet: int) -> None:
    for line in (b"STAT%c", b"%cSTAT", b"US%cER a", b"USER a%c", b"PASS a%cb", b"%c"):
        assert Session("1", Policy("Peep-1.0")).receive(line % octet) == replies.FORBIDDEN_OCTET


@pytest.mark.parametrize("line", [b"zqxjk", b"USER zqxjk/", b"RETR zqxjk", b"NOOP zqxjk", b"PASS zqxjk"])
def test_no_reply_echoes_the_input(session: Session, line: bytes) -> None:
    answer = session.receive(line)
    assert isinstance(answer, bytes)
    assert answer.startswith(b"-ERR ")
    assert b"zqxjk" not in answer


@pytest.mark.parametrize("refusal", [LoginRefusal.WRONG_CREDENTIALS, LoginRefusal.SLOWED_DOWN])
def test_tenth_wrong_password_ends_the_session(session: Session, refusal: LoginRefusal) -> None:
    for _ in range(9):
        assert session.complete(log_in(session), refusal) == refusal.value
    assert session.complete(log_in(session), refusal) == HangUp(refusal.value, "too many wrong passwords")


def test_refusals_that_are_not_the_clients_fault_end_no_session(session: Session) -> None:
    for _ in range(30):
        assert session.complete(log_in(session), LoginRefusal.IN_USE) == LoginRefusal.IN_USE.value


@pytest.mark.parametrize("policy", [Policy("Peep"), Policy("Peep", offers_tls=True)])
def test_refused_stls_withdraws_the_name_as_any_other_command(policy: Policy) -> None:
    session = Session("3f2a", policy, is_encrypted=True)
    session.receive(b"USER alice")
    assert session.receive(b"STLS") == replies.TLS_IS_ACTIVE
    assert session.receive(b"PASS secret") == replies.SEND_USER_FIRST


def begin_scram(session: Session) -> BeginScram:
    intention = session.receive(b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=alice,r=nonce"))
    assert isinstance(intention, BeginScram)
    return intention


def test_scram_that_the_store_cannot_begin_is_refused_and_may_be_tried_again(session: Session) -> None:
    refusal = LoginRefusal.STORE_UNAVAILABLE
    for _ in range(2):
        assert session.complete(begin_scram(session), refusal) == refusal.value
    assert session.receive(b"NOOP") == replies.LOG_IN_FIRST


def test_last_message_of_scram_that_is_no_text_is_malformed(session: Session) -> None:
    assert isinstance(session.complete(begin_scram(session), "r=nonce2,s=salt,i=4096"), Challenge)
    assert session.receive(base64.b64encode(b"\xff")) == replies.MALFORMED_RESPONSE
    assert session.receive(b"NOOP") == replies.LOG_IN_FIRST


def test_utf8_may_be_said_before_login_and_outside_of_auth(session: Session) -> None:
    assert session.may_say_utf8
    session.receive(b"AUTH PLAIN")
    assert not session.may_say_utf8
    session.receive(b"*")
    intention = log_in(session)
    assert not session.may_say_utf8
    session.complete(intention, contents_of([]))
    assert not session.may_say_utf8


def test_marked_messages_are_counted_until_they_are_unmarked(open_session: Session) -> None:
    open_session.receive(b"DELE 2")
    assert open_session.marked_count == 1
    open_session.receive(b"RSET")
    assert open_session.marked_count == 0


@pytest.mark.parametrize("outcome", UpdateOutcome)
def test_reply_to_quit_depends_on_what_could_be_removed(
    open_session: Session, outcome: UpdateOutcome
) -> None:
    open_session.receive(b"DELE 2")
    intention = open_session.receive(b"QUIT")
    assert isinstance(intention, RemoveMarked)
    assert open_session.complete(intention, outcome) == HangUp(outcome.value, "quit")


def test_scram_without_the_store_is_refused_as_temporary(session: Session) -> None:
    challenge = session.receive(b"AUTH SCRAM-SHA-256 biws")
    assert isinstance(challenge, BeginScram)
    refusal = LoginRefusal.STORE_UNAVAILABLE
    assert session.complete(challenge, refusal) == refusal.value
    assert session.state is State.AUTHORIZATION


def test_an_outcome_of_a_dialogue_that_is_over_is_refused(session: Session) -> None:
    begun = session.receive(b"AUTH SCRAM-SHA-256 biws")
    assert isinstance(begun, BeginScram)
    session.complete(begun, None)
    with pytest.raises(OutOfTurn):
        session.complete(begun, None)
