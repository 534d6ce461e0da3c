"""RFC 6856: UTF8, LANG, and what a client is sent that did not ask for UTF-8."""

import pytest

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


def test_message_is_sent_as_it_is_in_utf8_mode() -> None:
    listed, message = retrieved(EnginePeer([MESSAGE]), b"UTF8")
    assert message == MESSAGE.replace(b"\n", b"\r\n")
    assert listed == b"+OK 1 %d\r\n" % len(message)


def test_message_is_sent_as_a_surrogate_without_it() -> None:
    # Section 2.1: outside of UTF-8 mode no header field goes out beyond ASCII; LIST tells the octets sent.
    listed, message = retrieved(EnginePeer([MESSAGE]))
    header, _, body = message.partition(b"\r\n\r\n")
    assert header.isascii()
    assert b"Subject: =?utf-8?" in header
    assert body == f"body: {GREETINGS}\r\n".encode()
    assert listed == b"+OK 1 %d\r\n" % len(message)


def test_ascii_message_is_the_same_in_both_modes() -> None:
    message = b"Subject: x\n\nbody\n"
    assert retrieved(EnginePeer([message])) == retrieved(EnginePeer([message]), b"UTF8")


def test_top_sends_the_surrogate_too() -> None:
    peer = converse("C: NOOP\nS: +OK", EnginePeer([MESSAGE]), logged_in=True)
    peer.send(b"TOP 1 0\r\n")
    assert peer.unread().isascii()


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


def test_user_name_in_utf8_is_nobodys() -> None:
    peer = EnginePeer()
    peer.send(f"UTF8\r\nUSER {GREETINGS}\r\n".encode())
    assert b"-ERR a user name is" in peer.unread()


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
