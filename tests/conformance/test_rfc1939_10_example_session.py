"""RFC 1939, section 10: the example POP3 session, in our words and with PASS in place of APOP."""

from support.pop3_engine import EnginePeer, converse, message_of


def test_example_session() -> None:
    peer = converse(
        f"""
        S: +OK Peep ready 3f2a
        C: USER mrose
        S: +OK send PASS
        C: PASS tanstaaf
        S: +OK 2 messages (320 octets)
        C: STAT
        S: +OK 2 320
        C: LIST
        S: +OK 2 messages (320 octets)
        S: 1 120
        S: 2 200
        S: .
        C: RETR 1
        S: +OK 120 octets
        S: {"x" * 118}
        S: .
        C: DELE 1
        S: +OK message marked as deleted
        C: RETR 2
        S: +OK 200 octets
        S: {"x" * 198}
        S: .
        C: DELE 2
        S: +OK message marked as deleted
        C: QUIT
        S: +OK Peep signing off
        S: <closed>
        """,
        EnginePeer([message_of(120), message_of(200)]),
    )
    assert peer.mail == {}
