"""RFC 6856: UTF8, LANG, and what a client is sent that did not ask for UTF-8."""

import base64

import pytest

from pop3_service.protocol.intentions import LogIn
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.session import Session
from support.pop3_engine import EnginePeer, converse

GREETINGS = "Grüße"
MESSAGE = f"From: a@example.org\nSubject: {GREETINGS}\n\nbody: {GREETINGS}\n".encode()


def retrieved(peer: EnginePeer, *first: bytes) -> tuple[bytes, bytes]:
    """Log in after the lines of `first`; return the reply to LIST 1, and the lines of RETR 1."""
    for line in first:
        peer.send(line + b"\r\n")
    peer.send(b"USER mrose\r\nPASS tanstaaf\r\n")
    before = len(peer.unread())
    peer.send(b"LIST 1\r\n")
    listed = peer.unread()[before:]
    before = len(peer.unread())
    peer.send(b"RETR 1\r\n")
    _, _, message = peer.unread()[before:].partition(b"\r\n")
    return listed, message.removesuffix(b".\r\n")


def test_utf8_has_no_parameters() -> None:
    converse("S: +OK ...\nC: UTF8 x\nS: -ERR too many arguments", EnginePeer())


def test_utf8_is_valid_before_login_only() -> None:
    converse("C: UTF8\nS: -ERR not after login", EnginePeer(), logged_in=True)


@pytest.mark.parametrize("mode", [b"UTF8", b"NOOP"])
def test_message_is_sent_as_it_is_in_either_mode(mode: bytes) -> None:
    # Section 2.1 lets a server send a surrogate outside of UTF-8 mode; D10 says why there is none.
    listed, message = retrieved(EnginePeer([MESSAGE]), mode)
    assert message == MESSAGE.replace(b"\n", b"\r\n")
    assert listed == b"+OK 1 %d\r\n" % len(message)


def test_ascii_message_is_the_same_in_both_modes() -> None:
    message = b"Subject: x\n\nbody\n"
    assert retrieved(EnginePeer([message])) == retrieved(EnginePeer([message]), b"UTF8")


def test_top_sends_the_header_as_it_is_too() -> None:
    peer = converse("C: NOOP\nS: +OK", EnginePeer([MESSAGE]), logged_in=True)
    peer.send(b"TOP 1 0\r\n")
    assert f"\r\nSubject: {GREETINGS}\r\n\r\n.\r\n".encode() in peer.unread()


@pytest.mark.parametrize("mode", ["UTF8", "NOOP"])
def test_password_may_be_in_utf8_before_and_after_utf8(mode: str) -> None:
    # Section 2.2: announced by the argument USER, and then not bound to the mode.
    peer = EnginePeer()
    peer.send(f"{mode}\r\nUSER mrose\r\nPASS {GREETINGS}\r\n".encode())
    assert peer.unread().endswith(b"-ERR [AUTH] wrong user name or password\r\n")


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_password_that_is_not_utf8_is_refused(octets: bytes) -> None:
    peer = EnginePeer()
    peer.send(b"UTF8\r\nUSER mrose\r\nPASS " + octets + b"\r\n")
    assert peer.unread().endswith(b"-ERR line holds a control or 8-bit octet\r\n")


@pytest.mark.parametrize("mode", ["UTF8", "NOOP"])
@pytest.mark.parametrize("name", [GREETINGS, "ü", "用户", "x\N{GRINNING FACE}", "e\u0301", "é" * 64])
def test_user_name_in_utf8_is_a_name_that_nobody_has(mode: str, name: str) -> None:
    # Section 2.2: a server that announces USER accepts UTF-8 in names and passwords.
    peer = EnginePeer()
    peer.send(f"{mode}\r\nUSER {name}\r\nPASS tanstaaf\r\n".encode())
    assert peer.unread().endswith(
        b"+OK send PASS\r\n-ERR [AUTH] wrong user name or password\r\n",
    )


@pytest.mark.parametrize("name", ["ü/x", ".ü", "ü\x85x", "ü\u2028", "é" * 65])
def test_user_name_in_utf8_has_the_form_of_a_name(name: str) -> None:
    peer = EnginePeer()
    peer.send(f"UTF8\r\nUSER {name}\r\n".encode())
    assert b"-ERR a user name is" in peer.unread()


def test_plain_with_a_name_in_utf8_takes_the_way_of_any_wrong_name() -> None:
    session = Session("3f2a", Policy("Peep"))
    message = base64.b64encode(f"\0{GREETINGS}\0tanstaaf".encode())
    assert session.receive(b"AUTH PLAIN " + message) == LogIn(GREETINGS, "tanstaaf", "PLAIN")


@pytest.mark.parametrize("command", ["STAT", "LIST", "RETR", "DELE", "XTND"])
def test_other_commands_take_no_utf8(command: str) -> None:
    peer = converse("C: NOOP\nS: +OK", EnginePeer(), logged_in=True)
    peer.send(f"{command} {GREETINGS}\r\n".encode())
    assert peer.unread() == b"-ERR line holds a control or 8-bit octet\r\n"


def test_lang_lists_languages() -> None:
    converse("S: +OK ...\nC: LANG\nS: +OK language listing follows\nS: en English\nS: .", EnginePeer())


@pytest.mark.parametrize("language_range", ["en", "EN", "en-GB", "*"])
@pytest.mark.parametrize("logged_in", [False, True])
def test_lang_names_the_tag_selected(language_range: str, logged_in: bool) -> None:
    opening = "" if logged_in else "S: +OK ...\n"
    converse(
        f"{opening}C: LANG {language_range}\nS: +OK en these replies are in English",
        EnginePeer(),
        logged_in=logged_in,
    )


@pytest.mark.parametrize("language_range", ["MUL", "de", "e", "eng", "**"])
def test_lang_of_an_unknown_language_is_refused(language_range: str) -> None:
    converse(f"S: +OK ...\nC: LANG {language_range}\nS: -ERR no such language, ...", EnginePeer())
