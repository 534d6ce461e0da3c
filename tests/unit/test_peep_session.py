"""The PEEP dialogue without sockets: decisions, states, the count of wrong passwords."""

import pytest

from peep_gateway.protocol.commands import COMMANDS, Command, State
from peep_gateway.protocol.replies import (
    Answer,
    NegativeCode,
    ReplyKind,
    multiline,
    negative,
    positive,
)
from peep_gateway.protocol.session import MAX_WRONG_PASSWORDS, Authentication, Outcome, Request, Session

UNKNOWN, SYNTAX = b"-0\r\n", b"-1\r\n"


def new_session() -> Session:
    return Session()


def authenticated_session() -> Session:
    session = Session()
    session.receive(b"a root pw")
    session.complete(Authentication.SUCCEEDED)
    return session


def request_of(session: Session, line: bytes) -> Request:
    decision = session.receive(line)
    assert isinstance(decision, Request), decision
    return decision


def test_session_starts_in_authentication() -> None:
    assert new_session().state is State.AUTHENTICATION
    assert new_session().administrator is None


def test_authentication_is_a_request_with_both_words() -> None:
    request = request_of(new_session(), b"a bob password_of_bob")
    assert request.command.commencement == "a"
    assert request.arguments == ("bob", "password_of_bob")


def test_administrators_name_need_not_be_a_folders_name() -> None:
    assert request_of(new_session(), b"a ../bob/. pw").arguments == ("../bob/.", "pw")


@pytest.mark.parametrize(
    "command", [row for row in COMMANDS if State.AUTHENTICATION not in row.states], ids=lambda row: row.syntax
)
def test_commands_of_the_other_state_are_unknown_before_authentication(command: Command) -> None:
    commencement = command.commencement.encode()
    session = new_session()
    assert session.receive(commencement) == UNKNOWN
    assert session.receive(commencement + b" 1 2") == UNKNOWN
    assert session.receive(commencement + b"  1") == UNKNOWN


@pytest.mark.parametrize("line", [b"a", b"a root pw", b"a  root", b"a " + b"x" * 200])
def test_authentication_is_unknown_once_authenticated(line: bytes) -> None:
    assert authenticated_session().receive(line) == UNKNOWN


@pytest.mark.parametrize(
    "line",
    [b"", b" ", b"  ", b" c?", b"C?", b"c??", b"c=15", b"abcdefghi", b"h?", b"c", b"?", b"c?\tx", b"c?\x00",
     b"\xffc?", b"c?\n", b"\nc?", b"c?\r", b"quit", b"STAT", b"u+\n x y", b"x" * 266],
)  # fmt: skip
def test_anything_but_a_known_commencement_is_unknown(line: bytes) -> None:
    assert authenticated_session().receive(line) == UNKNOWN


@pytest.mark.parametrize(
    "line",
    [b"u+", b"u+ ", b"u+ bob", b"u+ bob ", b"u-", b"u- ", b"c=", b"c= ", b"m=", b"t= "],
)
def test_missing_argument_is_invalid_syntax(line: bytes) -> None:
    assert authenticated_session().receive(line) == SYNTAX


@pytest.mark.parametrize(
    "line",
    [
        b"c=  15",
        b"u+ bob  pw",
        b"u+  bob pw",
        b"c?  x",
        b"c?  ",
        b"c= 15  x",
        b"c= 15  ",
        b"cap?  ",
        b"u?  a  b",
    ],
)
def test_two_spaces_in_a_row_are_invalid_syntax_whatever_the_arity(line: bytes) -> None:
    assert authenticated_session().receive(line) == SYNTAX


@pytest.mark.parametrize(
    "line",
    [b"u- " + b"n" * 129, b"u+ bob " + b"p" * 129, b"u- a\x00b", b"u- caf\xc3\xa9", b"u- a\nb", b"u- a\rb",
     b"u+ bob pw\n", b"c= 1\n", b"c= 15 \x01", b"c? " + b"x" * 129],
)  # fmt: skip
def test_argument_that_is_no_word_is_invalid_syntax(line: bytes) -> None:
    assert authenticated_session().receive(line) == SYNTAX


def test_surplus_arguments_are_ignored_but_counted() -> None:
    request = request_of(authenticated_session(), b"u+ bob pass word again")
    assert request.arguments == ("bob", "pass")
    assert request.surplus_arguments == 2


def test_one_space_at_the_end_is_ignored() -> None:
    assert request_of(authenticated_session(), b"c= 15 ").arguments == (15,)
    assert request_of(authenticated_session(), b"c? ").surplus_arguments == 0


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"c= 0", b"-5\r\n"),
        (b"c= -5", b"-5\r\n"),
        (b"c= 1000001", b"-5\r\n"),
        (b"c= 99999999999999999999", b"-5\r\n"),
        (b"t= 86401", b"-7\r\n"),
        (b"t= -1", b"-7\r\n"),
        (b"m= mail", b"-6\r\n"),
        (b"m= /srv/../mail", b"-6\r\n"),
        (b"c= +5", SYNTAX),
        (b"t= 1e3", SYNTAX),
        (b"u- ../x", SYNTAX),
        (b"u+ .x pw", SYNTAX),
    ],
)
def test_wrong_values_have_the_codes_of_their_command(line: bytes, reply: bytes) -> None:
    assert authenticated_session().receive(line) == reply


def test_overlong_line_of_a_known_command_is_invalid_syntax() -> None:
    assert authenticated_session().receive_overlong(b"u+ " + b"x" * 265) == SYNTAX
    assert authenticated_session().receive_overlong(b"c?  " + b"x" * 264) == SYNTAX


def test_overlong_line_of_an_unavailable_command_is_unknown() -> None:
    assert new_session().receive_overlong(b"u+ " + b"x" * 265) == UNKNOWN
    assert authenticated_session().receive_overlong(b"a " + b"x" * 266) == UNKNOWN
    assert authenticated_session().receive_overlong(b"c?" + b"x" * 266) == UNKNOWN


@pytest.mark.parametrize("session", [new_session(), authenticated_session()])
def test_quit_is_answered_and_ends_the_session(session: Session) -> None:
    assert session.receive(b"q") == b"+\r\n"
    assert session.is_over


def test_tenth_wrong_password_ends_the_session() -> None:
    session = new_session()
    for _ in range(MAX_WRONG_PASSWORDS):
        assert not session.is_over
        session.receive(b"a root pw")
        assert session.complete(Authentication.FAILED) == b"-2\r\n"
    assert session.is_over


def test_slowed_attempts_count_as_wrong_passwords_and_an_absent_store_does_not() -> None:
    session = new_session()
    for _ in range(MAX_WRONG_PASSWORDS):
        assert not session.is_over
        for outcome in (NegativeCode.SERVICE_UNAVAILABLE, Authentication.SLOWED_DOWN):
            session.receive(b"a root pw")
            assert session.complete(outcome) == b"-8\r\n"
    assert session.is_over
    assert session.state is State.AUTHENTICATION


def test_right_password_authenticates_the_session() -> None:
    session = new_session()
    session.receive(b"a root pw")
    assert session.complete(Authentication.SUCCEEDED) == b"+\r\n"
    assert (session.state, session.administrator) == (State.AUTHENTICATED, "root")


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (b"c?", Authentication.SUCCEEDED),
        (b"c?", None),
        (b"c?", "15"),
        (b"m?", 15),
        (b"u?", 0),
        (b"u- bob", 4),
    ],
)
def test_outcome_of_another_kind_of_command_is_a_bug(line: bytes, outcome: Outcome) -> None:
    session = authenticated_session()
    session.receive(line)
    with pytest.raises(TypeError):
        session.complete(outcome)


@pytest.mark.parametrize("outcome", [None, 15])
def test_only_an_authentication_completes_a(outcome: Outcome) -> None:
    session = new_session()
    session.receive(b"a root pw")
    with pytest.raises(TypeError):
        session.complete(outcome)
    assert session.state is State.AUTHENTICATION


def test_outcome_without_a_request_and_a_line_before_the_outcome_are_bugs() -> None:
    session = authenticated_session()
    with pytest.raises(RuntimeError, match="no request"):
        session.complete(None)
    session.receive(b"c?")
    with pytest.raises(RuntimeError, match="no outcome"):
        session.receive(b"c?")
    assert session.complete(15) == b"+15\r\n"
    with pytest.raises(RuntimeError, match="no request"):
        session.complete(15)


def test_negative_codes_are_the_numbers_of_the_text() -> None:
    assert [negative(code) for code in NegativeCode] == [b"-%d\r\n" % number for number in range(9)]


def test_positive_replies_are_one_line_of_their_kind() -> None:
    assert positive(ReplyKind.NONE, None) == b"+\r\n"
    assert positive(ReplyKind.INTEGER, 2612) == b"+2612\r\n"
    assert positive(ReplyKind.STRING, "/srv/mail") == b"+/srv/mail\r\n"


def test_multiline_reply_counts_its_lines() -> None:
    assert multiline(["linus", "unix"]) == b"+2\r\nlinus\r\nunix\r\n"
    assert multiline([]) == b"+0\r\n"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [(ReplyKind.NONE, 1), (ReplyKind.INTEGER, None), (ReplyKind.MULTI_LINE, "ab"), (ReplyKind.STRING, None)],
)
def test_answer_of_another_kind_is_a_bug(kind: ReplyKind, answer: Answer) -> None:
    with pytest.raises(TypeError):
        positive(kind, answer)


@pytest.mark.parametrize("text", ["x" * 510, "a\r\nb", "a\n", "\r", "é" * 255])
def test_text_that_would_break_the_framing_is_never_sent(text: str) -> None:
    with pytest.raises(ValueError, match="line of a reply"):
        positive(ReplyKind.STRING, text)


def test_longest_line_of_a_reply_has_512_octets() -> None:
    assert len(positive(ReplyKind.STRING, "x" * 509)) == 512
    with pytest.raises(ValueError, match="512"):
        multiline(["x" * 511])
    assert multiline(["x" * 510]).endswith(b"x\r\n")
