"""RFC 5034, sections 3, 4 and 6: AUTH, with PLAIN (RFC 4616) and SCRAM-SHA-256 (RFC 5802, RFC 7677)."""

import base64

import pytest
from scramp import ScramClient  # type: ignore[import-untyped]

from pop3_service.protocol.intentions import LogIn
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.replies import LoginRefusal
from pop3_service.protocol.session import Session
from support.pop3_engine import PASSWORD, USER, EnginePeer, converse


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


RIGHT = in_base64(f"\0{USER}\0{PASSWORD}")


def scram_client(password: str = PASSWORD) -> ScramClient:
    return ScramClient(["SCRAM-SHA-256"], USER, password)


def answer(peer: EnginePeer, line: str) -> str:
    """Send a line and return the last line of what it is answered with."""
    peer.send(line.encode() + b"\r\n")
    return peer.unread().decode().split("\r\n")[-2]


def test_example_of_the_rfc_with_an_initial_response() -> None:
    peer = converse(
        f"""
        S: +OK ...
        C: AUTH PLAIN {RIGHT}
        S: +OK 0 messages (0 octets)
        """,
        EnginePeer(),
    )
    assert peer.session.username == USER


def test_example_of_the_rfc_without_an_initial_response() -> None:
    peer = EnginePeer()
    peer.send(b"AUTH PLAIN\r\n")
    # An empty challenge is a plus sign and one space, and nothing else (section 4).
    assert peer.unread().endswith(b"\r\n+ \r\n")
    assert answer(peer, RIGHT) == "+OK 0 messages (0 octets)"


def test_example_of_the_rfc_where_the_last_challenge_is_answered_by_an_empty_line() -> None:
    peer, client = EnginePeer(), scram_client()
    challenge = answer(peer, f"AUTH SCRAM-SHA-256 {in_base64(client.get_client_first())}")
    client.set_server_first(base64.b64decode(challenge.removeprefix("+ ")).decode())
    last = answer(peer, in_base64(client.get_client_final()))
    client.set_server_final(base64.b64decode(last.removeprefix("+ ")).decode())
    assert answer(peer, "") == "+OK 0 messages (0 octets)"
    assert peer.session.username == USER


def test_scram_without_an_initial_response_is_asked_for_it() -> None:
    peer, client = EnginePeer(), scram_client()
    assert answer(peer, "AUTH SCRAM-SHA-256") == "+ "
    assert answer(peer, in_base64(client.get_client_first())).startswith("+ ")


def test_scram_with_a_wrong_password_is_refused() -> None:
    peer, client = EnginePeer(), scram_client("maskof")
    challenge = answer(peer, f"AUTH SCRAM-SHA-256 {in_base64(client.get_client_first())}")
    client.set_server_first(base64.b64decode(challenge.removeprefix("+ ")).decode())
    assert answer(peer, in_base64(client.get_client_final())).startswith("-ERR [AUTH]")
    assert answer(peer, "NOOP") == "-ERR not before login"


@pytest.mark.parametrize(
    "message", ["", "x", "n,,", "p=tls-unique,,n=mrose,r=abc", "n,a=other,n=mrose,r=abc"]
)
def test_scram_message_that_breaks_the_rules_is_refused(message: str) -> None:
    peer = EnginePeer()
    assert answer(peer, f"AUTH SCRAM-SHA-256 {in_base64(message) or '='}").startswith("-ERR")
    assert answer(peer, "NOOP") == "-ERR not before login"


def test_what_follows_the_last_scram_challenge_must_be_empty() -> None:
    peer, client = EnginePeer(), scram_client()
    challenge = answer(peer, f"AUTH SCRAM-SHA-256 {in_base64(client.get_client_first())}")
    client.set_server_first(base64.b64decode(challenge.removeprefix("+ ")).decode())
    answer(peer, in_base64(client.get_client_final()))
    assert answer(peer, "AAAA").startswith("-ERR")
    assert answer(peer, "STAT") == "-ERR not before login"


@pytest.mark.parametrize("answers", [1, 2])
def test_cancelled_scram_leaves_no_name_for_a_password(answers: int) -> None:
    peer, client = EnginePeer(), scram_client()
    challenge = answer(peer, f"AUTH SCRAM-SHA-256 {in_base64(client.get_client_first())}")
    if answers == 2:
        client.set_server_first(base64.b64decode(challenge.removeprefix("+ ")).decode())
        assert answer(peer, in_base64(client.get_client_final())).startswith("+ ")
    assert answer(peer, "*") == "-ERR authentication cancelled"
    assert answer(peer, f"PASS {PASSWORD}") == "-ERR send USER right before PASS"


@pytest.mark.parametrize("mechanism", ["plain", "Plain", "PLAIN"])
def test_mechanism_is_written_in_any_case(mechanism: str) -> None:
    assert answer(EnginePeer(), f"auth {mechanism} {RIGHT}") == "+OK 0 messages (0 octets)"


def test_unknown_mechanism_is_refused() -> None:
    assert answer(EnginePeer(), "AUTH CRAM-MD5").startswith("-ERR no such mechanism")


def test_auth_without_a_mechanism_lists_them() -> None:
    converse(
        "S: +OK ...\nC: AUTH\nS: +OK mechanism listing follows\nS: PLAIN\nS: SCRAM-SHA-256\nS: .",
        EnginePeer(),
    )


def test_asterisk_cancels() -> None:
    peer = EnginePeer()
    assert answer(peer, "AUTH PLAIN") == "+ "
    assert answer(peer, "*") == "-ERR authentication cancelled"
    assert answer(peer, f"AUTH PLAIN {RIGHT}") == "+OK 0 messages (0 octets)"


@pytest.mark.parametrize(
    "response", ["=AAA", "AAA=BBB", "A", "AAAAA", "AG1yb3NlAHRhbnN0YWFm ", "AG1yb3Nl!AHRhbnN0YWFm", "AA=A"]
)
def test_response_that_is_not_base64_is_answered_once_and_ends_the_exchange(response: str) -> None:
    peer = EnginePeer()
    assert answer(peer, "AUTH PLAIN") == "+ "
    before = peer.unread()
    assert answer(peer, response).startswith("-ERR the response is not well-formed base64")
    assert peer.unread()[len(before) :].count(b"\r\n") == 1
    assert answer(peer, "STAT") == "-ERR not before login"


def test_equals_sign_is_an_empty_initial_response() -> None:
    assert answer(EnginePeer(), "AUTH PLAIN =").startswith("-ERR the response does not follow")


@pytest.mark.parametrize(
    "message",
    ["", USER, f"{USER}\0{PASSWORD}", f"\0\0{PASSWORD}", f"\0{USER}\0", f"\0{USER}\0{PASSWORD}\0"],
)
def test_plain_message_of_another_form_is_refused(message: str) -> None:
    peer = EnginePeer()
    answer(peer, "AUTH PLAIN")
    assert answer(peer, in_base64(message)).startswith("-ERR the response does not follow")


def test_plain_message_that_is_not_utf8_is_refused() -> None:
    peer = EnginePeer()
    answer(peer, "AUTH PLAIN")
    response = base64.b64encode(b"\0mrose\0\xff\xfe").decode()
    assert answer(peer, response).startswith("-ERR the response does not follow")


@pytest.mark.parametrize(("identity", "reply"), [(USER, "+OK"), ("other", "-ERR [AUTH]")])
def test_authorization_identity_must_be_the_user(identity: str, reply: str) -> None:
    message = in_base64(f"{identity}\0{USER}\0{PASSWORD}")
    assert answer(EnginePeer(), f"AUTH PLAIN {message}").startswith(reply)


@pytest.mark.parametrize("name", ["../mrose", ".mrose", "m/rose", "m rose", "mrose\r\nX", "mrosé"])
def test_name_that_no_user_can_have_is_refused_as_a_wrong_one(name: str) -> None:
    message = in_base64(f"\0{name}\0{PASSWORD}")
    assert (
        answer(EnginePeer(), f"AUTH PLAIN {message}") == LoginRefusal.WRONG_CREDENTIALS.value.decode().strip()
    )


@pytest.mark.parametrize("command", ["AUTH PLAIN ", "auth plain "])
def test_command_line_with_its_initial_response_has_at_most_12288_octets(command: str) -> None:
    peer = EnginePeer()
    response = "A" * (12_288 - len(command) - len("\r\n"))
    assert answer(peer, command + response).startswith("-ERR the response is not well-formed base64")
    assert answer(peer, command + response + " ").startswith("-ERR the response is too long")
    assert answer(peer, "AUTHPLAIN" + "A" * 260).startswith("-ERR line is longer")
    assert answer(peer, "NOOP").startswith("-ERR not before login")


def test_long_password_in_an_initial_response_is_read_whole() -> None:
    response = in_base64("\0mrose\0" + "x" * 9000)
    assert Session("3f2a", Policy("Peep")).receive(f"AUTH PLAIN {response}".encode()) == LogIn(
        "mrose", "x" * 9000, "PLAIN"
    )
    assert answer(EnginePeer(), f"AUTH PLAIN {response}").startswith("-ERR [AUTH]")


def test_response_line_may_be_longer_than_a_command_and_has_a_limit_of_its_own() -> None:
    peer = EnginePeer()
    answer(peer, "AUTH PLAIN")
    assert answer(peer, in_base64("\0mrose\0" + "x" * 9000)).startswith("-ERR [AUTH]")
    answer(peer, "AUTH PLAIN")
    assert answer(peer, "A" * 12_288).startswith("-ERR the response is too long")
    assert answer(peer, "x" * 300).startswith("-ERR line is longer")


def test_auth_after_login_is_refused() -> None:
    converse(f"C: AUTH PLAIN {RIGHT}\nS: -ERR not after login", EnginePeer(), logged_in=True)


def test_failed_auth_leaves_the_session_as_if_it_had_not_been_tried() -> None:
    wrong = in_base64(f"\0{USER}\0maskof")
    converse(
        f"""
        S: +OK ...
        C: AUTH PLAIN {wrong}
        S: -ERR [AUTH] wrong user name or password
        C: PASS {PASSWORD}
        S: -ERR send USER right before PASS
        C: USER {USER}
        S: +OK send PASS
        C: PASS {PASSWORD}
        S: +OK 0 messages (0 octets)
        """,
        EnginePeer(),
    )


def test_name_given_by_user_does_not_outlive_an_auth() -> None:
    converse(
        f"S: +OK ...\nC: USER {USER}\nC: AUTH PLAIN\nC: *\nC: PASS {PASSWORD}\nS: +OK send PASS\n"
        "S: + ...\nS: -ERR authentication cancelled\nS: -ERR send USER right before PASS",
        EnginePeer(),
    )


@pytest.mark.parametrize("message", [b"", b"nonsense", b"\xff"])
def test_scram_message_of_another_form_is_refused(message: bytes) -> None:
    peer = EnginePeer()
    answer(peer, "AUTH SCRAM-SHA-256")
    response = base64.b64encode(message).decode()
    assert answer(peer, response).startswith("-ERR the response does not follow")
    assert answer(peer, "STAT") == "-ERR not before login"
