"""RFC 3206: SYS/TEMP, SYS/PERM and AUTH tell a client whether to ask its user for a password."""

import pytest

from pop3_service.protocol import replies
from pop3_service.protocol.replies import LoginRefusal
from support.pop3_engine import EnginePeer, converse


@pytest.mark.parametrize(
    ("refusal", "response_code"),
    [
        (LoginRefusal.WRONG_CREDENTIALS, "[AUTH]"),
        (LoginRefusal.IN_USE, "[IN-USE]"),
        (LoginRefusal.STORE_UNAVAILABLE, "[SYS/TEMP]"),
        (LoginRefusal.MAILDROP_UNREADABLE, "[SYS/PERM]"),
    ],
)
def test_each_refused_login_has_its_response_code(refusal: LoginRefusal, response_code: str) -> None:
    peer = EnginePeer()
    peer.refusal = refusal
    converse(
        f"S: +OK ...\nC: USER mrose\nS: +OK send PASS\nC: PASS tanstaaf\nS: -ERR {response_code} ...", peer
    )


def test_auth_is_said_of_wrong_credentials_alone() -> None:
    with_auth = [refusal for refusal in LoginRefusal if b"[AUTH]" in refusal.value]
    assert with_auth == [LoginRefusal.WRONG_CREDENTIALS]


def test_refusals_outside_a_dialogue_are_temporary() -> None:
    for reply in (
        replies.too_many_connections(1000),
        replies.STATE_STORE_UNREACHABLE,
        replies.GOING_DOWN,
        replies.INTERNAL_ERROR,
    ):
        assert reply.startswith(b"-ERR [SYS/TEMP] ")
