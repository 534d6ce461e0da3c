"""RFC 2449, section 8: extended response codes."""

import re

import pytest

from pop3_service.protocol.replies import LoginRefusal
from support.pop3_engine import EnginePeer, converse

REFUSE = "S: +OK ...\nC: USER mrose\nS: +OK send PASS\nC: PASS tanstaaf\n"


def test_in_use_is_told_when_another_session_has_the_maildrop() -> None:
    peer = EnginePeer()
    peer.refusal = LoginRefusal.IN_USE
    converse(REFUSE + "S: -ERR [IN-USE] another session has this maildrop open", peer)
    assert peer.session.username is None


def test_refused_session_may_try_again() -> None:
    peer = EnginePeer()
    peer.refusal = LoginRefusal.IN_USE
    converse(REFUSE + "S: -ERR [IN-USE] ...", peer)
    peer.refusal = None
    converse(REFUSE.partition("\n")[2] + "S: +OK 0 messages (0 octets)", peer)


@pytest.mark.parametrize("refusal", LoginRefusal)
def test_response_code_stands_right_after_the_error_mark(refusal: LoginRefusal) -> None:
    assert re.fullmatch(rb"-ERR \[[A-Z]+(-[A-Z]+|/[A-Z]+)?\] [^\[\]\r\n]+\r\n", refusal.value)
