"""RFC 2449, sections 4 to 6: line lengths, CAPA, and that each capability announced is real."""

from pop3_service.protocol.capabilities import CAPABILITIES
from pop3_service.protocol.policy import Policy
from support.pop3_engine import EnginePeer, converse, message_of

ALWAYS = """
    S: TOP
    S: UIDL
    S: USER
    S: SASL PLAIN SCRAM-SHA-256
    S: RESP-CODES
    S: AUTH-RESP-CODE
    S: PIPELINING
    S: EXPIRE NEVER
    S: UTF8 USER
    S: LANG
"""


def announced(peer: EnginePeer) -> list[str]:
    """Return the lines of the list that CAPA answers."""
    peer.unread()
    peer.send(b"CAPA\r\n")
    reply = peer.unread().decode()
    return reply[reply.index("+OK capability") :].split("\r\n")[1:-2]


def test_capa_before_login_withholds_the_version() -> None:
    converse(f"S: +OK ...\nC: CAPA\nS: +OK capability list follows\n{ALWAYS}\nS: .", EnginePeer())


def test_capa_after_login_names_the_implementation() -> None:
    converse(
        f"C: CAPA\nS: +OK capability list follows\n{ALWAYS}\nS: IMPLEMENTATION Peep-1.0\nS: .",
        EnginePeer(),
        logged_in=True,
    )


def test_capa_takes_no_argument() -> None:
    converse("S: +OK ...\nC: CAPA x\nS: -ERR too many arguments", EnginePeer())


def test_login_delay_is_announced_where_there_is_one() -> None:
    policy = Policy("Peep-1.0", login_delay_seconds=900)
    peer = converse("C: STAT\nS: +OK 0 0", EnginePeer(policy=policy), logged_in=True)
    assert "LOGIN-DELAY 900" in announced(EnginePeer(policy=policy))
    assert "LOGIN-DELAY 900" in announced(peer)


def test_every_command_beyond_the_minimum_is_announced_before_and_after_login() -> None:
    # Section 5: what is available in AUTHORIZATION is announced in both states; STLS alone is not (RFC 2595).
    peer = converse("C: STAT\nS: +OK 0 0", EnginePeer(), logged_in=True)
    before, after = announced(EnginePeer()), announced(peer)
    assert set(before) <= set(after)
    tags = {line.split()[0] for line in before}
    assert {"TOP", "UIDL", "USER", "SASL", "UTF8", "LANG"} <= tags


def test_no_capability_is_announced_twice() -> None:
    keywords = [row.keyword for row in CAPABILITIES]
    assert len(set(keywords)) == len(keywords)


def test_pipelined_commands_are_answered_in_order() -> None:
    converse(
        """
        C: STAT
        C: LIST 1
        C: DELE 1
        C: JUNK
        C: NOOP
        S: +OK 1 120
        S: +OK 1 120
        S: +OK message marked as deleted
        S: -ERR unknown command
        S: +OK
        """,
        EnginePeer([message_of(120)]),
        logged_in=True,
    )


def test_overlong_line_is_answered_once() -> None:
    peer = EnginePeer()
    peer.read_line()
    peer.send(b"USER " + b"x" * 60_000 + b"\r\nQUIT\r\n")
    assert peer.unread() == b"-ERR line is longer than 255 octets\r\n+OK Peep signing off\r\n"
