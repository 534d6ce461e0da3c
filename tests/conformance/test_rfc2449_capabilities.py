"""RFC 2449, sections 4 to 6: line lengths, CAPA, and that each capability announced is real."""

from pop3_service.protocol.capabilities import CAPABILITIES
from support.pop3_engine import EnginePeer, converse, message_of

ALWAYS = "\n".join(
    f"S: {line}"
    for line in ("TOP", "UIDL", "USER", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER")
)


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
    peer.send(b"USER " + b"x" * 100_000 + b"\r\nQUIT\r\n")
    assert peer.unread() == b"-ERR line is longer than 255 octets\r\n+OK Peep signing off\r\n"
