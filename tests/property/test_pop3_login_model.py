"""Everything that may be said before login, in any order, against a plain model of what it leads to."""

import base64
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pop3_service.protocol.commands import State
from pop3_service.protocol.policy import Policy
from support.pop3_engine import PASSWORD, USER, EnginePeer

RIGHT = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
WRONG = base64.b64encode(f"\0{USER}\0maskof".encode()).decode()

LINES = (
    "CAPA",
    "STLS",
    "UTF8",
    "LANG",
    "LANG de",
    "NOOP",
    "JUNK",
    "AUTH",
    "AUTH PLAIN",
    f"AUTH PLAIN {RIGHT}",
    f"AUTH PLAIN {WRONG}",
    "AUTH PLAIN !",
    "AUTH KERBEROS",
    RIGHT,
    WRONG,
    "*",
    "!",
    f"USER {USER}",
    "USER frated",
    f"PASS {PASSWORD}",
    "PASS maskof",
    "PASS grüße",
)
POLICIES = st.builds(Policy, st.just("Peep-1.0"), offers_tls=st.booleans(), requires_tls=st.booleans())


@dataclass
class Model:
    """What a client has achieved so far, in the words of the RFCs."""

    policy: Policy
    is_encrypted: bool = False
    is_logged_in: bool = False
    name: str | None = None
    is_asked: bool = False
    """An empty challenge of AUTH PLAIN waits for its response."""

    def status(self, line: str) -> str:
        """Return how the reply to `line` begins, and take note of what it changes."""
        if self.is_asked:
            self.is_asked = False
            return self._log_in_if(line == RIGHT)
        keyword, _, rest = line.partition(" ")
        name, self.name = self.name, None
        if self.is_logged_in:
            return "+OK" if keyword in ("CAPA", "NOOP") or line == "LANG" else "-ERR"
        if line in ("CAPA", "UTF8", "LANG", "AUTH"):
            return "+OK"
        if line == "STLS" and self.policy.offers_tls and not self.is_encrypted:
            self.is_encrypted = True
            return "+OK"
        if not (self.is_encrypted or not self.policy.requires_tls):
            return "-ERR"
        if keyword == "USER":
            self.name = rest
            return "+OK"
        if keyword == "PASS":
            return self._log_in_if((name, rest) == (USER, PASSWORD))
        if line == "AUTH PLAIN":
            self.is_asked = True
            return "+ "
        return self._log_in_if(line == f"AUTH PLAIN {RIGHT}")

    def _log_in_if(self, is_right: bool) -> str:
        self.is_logged_in = is_right
        return "+OK" if is_right else "-ERR"


@given(POLICIES, st.booleans(), st.lists(st.sampled_from(LINES), max_size=19))
def test_what_is_said_before_login_leads_where_the_model_says(
    policy: Policy, is_encrypted: bool, lines: list[str]
) -> None:
    peer = EnginePeer(policy=policy, is_encrypted=is_encrypted)
    model = Model(policy, is_encrypted)
    for line in lines:
        before = len(peer.unread())
        peer.send(line.encode() + b"\r\n")
        reply = peer.unread()[before:].decode()
        assert reply.startswith(model.status(line)), (line, reply)
        assert (peer.session.state is State.TRANSACTION) == model.is_logged_in
