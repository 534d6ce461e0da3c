"""RFC 2595, section 4: STLS, as far as the dialogue goes; tests/services has the TLS itself."""

import pytest

from pop3_service.protocol.policy import Policy
from support.pop3_engine import EnginePeer, converse

OFFERED = Policy("Peep-1.0", offers_tls=True)
REQUIRED = Policy("Peep-1.0", offers_tls=True, requires_tls=True)


def capabilities(peer: EnginePeer) -> list[bytes]:
    """Return the lines of CAPA's reply, the first and the last left out."""
    before = len(peer.unread())
    peer.send(b"CAPA\r\n")
    return peer.unread()[before:].split(b"\r\n")[1:-2]


def test_example_of_the_rfc() -> None:
    converse(
        """
        S: +OK ...
        C: STLS
        S: +OK begin TLS negotiation
        C: STLS
        S: -ERR TLS is active already
        """,
        EnginePeer(policy=OFFERED),
    )


def test_stls_takes_no_argument() -> None:
    converse("S: +OK ...\nC: STLS now\nS: -ERR too many arguments", EnginePeer(policy=OFFERED))


def test_stls_is_permitted_before_login_only() -> None:
    converse("C: STLS\nS: -ERR not after login", EnginePeer(policy=OFFERED), logged_in=True)


def test_stls_without_a_certificate_is_refused() -> None:
    converse("S: +OK ...\nC: STLS\nS: -ERR TLS is not offered here", EnginePeer())


def test_stls_inside_implicit_tls_is_refused_and_not_announced() -> None:
    peer = EnginePeer(policy=OFFERED, is_encrypted=True)
    converse("S: +OK ...\nC: STLS\nS: -ERR TLS is active already", peer)
    assert b"STLS" not in capabilities(peer)


def test_capability_is_announced_only_where_the_command_is_permitted() -> None:
    peer = EnginePeer(policy=OFFERED)
    assert b"STLS" in capabilities(peer)
    peer.send(b"STLS\r\n")
    assert b"STLS" not in capabilities(peer)
    assert b"STLS" not in capabilities(EnginePeer())
    logged_in = converse("C: NOOP\nS: +OK", EnginePeer(policy=OFFERED), logged_in=True)
    assert b"STLS" not in capabilities(logged_in)


def test_a_name_given_before_stls_is_forgotten() -> None:
    converse(
        """
        S: +OK ...
        C: USER mrose
        S: +OK send PASS
        C: STLS
        S: +OK begin TLS negotiation
        C: PASS tanstaaf
        S: -ERR send USER right before PASS
        """,
        EnginePeer(policy=OFFERED),
    )


def test_stls_after_utf8_and_utf8_again_are_allowed() -> None:
    peer = EnginePeer(policy=OFFERED)
    peer.send(b"UTF8\r\n")
    peer.send(b"STLS\r\n")
    peer.send(b"UTF8\r\nUSER mrose\r\nPASS tanstaaf\r\n")
    replies = peer.unread().splitlines()[1:]
    assert [reply[:3] for reply in replies] == [b"+OK"] * 5


@pytest.mark.parametrize("state", ["before", "after"])
def test_passwords_in_the_clear_are_refused_until_tls_where_it_is_required(state: str) -> None:
    peer = EnginePeer(policy=REQUIRED)
    assert peer.read_line().startswith(b"+OK")
    if state == "before":
        listed = capabilities(peer)
        assert b"USER" not in listed
        assert b"SASL SCRAM-SHA-256" in listed
        peer = EnginePeer(policy=REQUIRED)
        converse(
            """
            S: +OK ...
            C: USER mrose
            S: -ERR no passwords in the clear here, use STLS first
            C: PASS tanstaaf
            S: -ERR send USER right before PASS
            C: AUTH PLAIN AG1yb3NlAHRhbnN0YWFm
            S: -ERR no passwords in the clear here, use STLS first
            C: AUTH PLAIN
            S: -ERR no passwords in the clear here, use STLS first
            """,
            peer,
        )
        return
    peer.send(b"STLS\r\n")
    listed = capabilities(peer)
    assert b"USER" in listed
    assert b"SASL PLAIN SCRAM-SHA-256" in listed
    peer = EnginePeer(policy=REQUIRED)
    converse(
        """
        S: +OK ...
        C: STLS
        S: +OK begin TLS negotiation
        C: AUTH PLAIN AG1yb3NlAHRhbnN0YWFm
        S: +OK 0 messages (0 octets)
        """,
        peer,
    )


def test_wrong_passwords_before_stls_still_count_after_it() -> None:
    peer = EnginePeer(policy=OFFERED)
    peer.send(b"USER mrose\r\nPASS wrong\r\n" * 9)
    assert not peer.is_closed
    peer.send(b"STLS\r\n")
    peer.send(b"USER mrose\r\nPASS wrong\r\n")
    assert peer.is_closed
