"""Work for callgrind to count: `engine_load.py WHAT TIMES`.

`sessions` plays a client's whole dialogue with the engine, from greeting to QUIT, through a line buffer;
`yardstick` runs plain Python that has nothing to do with it, so that what an interpreter costs cancels out.
"""

import sys

from pop3_service.command_lines import command_lines
from pop3_service.protocol.intentions import HangUp, LogIn, SendMessage
from pop3_service.protocol.maildrop import MaildropContents, Message
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.session import Session

MESSAGES = 20
DIALOGUE = [
    b"USER alice\r\n",
    b"PASS secret\r\n",
    b"STAT\r\n",
    b"UIDL\r\n",
    *[b"RETR %d\r\n" % number for number in range(1, MESSAGES + 1)],
    b"QUIT\r\n",
]


def play_sessions(times: int) -> None:
    """Play so many sessions; each reads every message of the maildrop."""
    policy = Policy("Peep")
    unique_ids = [b"id%d" % number for number in range(MESSAGES)]
    messages = [Message(unique_id, 1000, None) for unique_id in unique_ids]
    contents = MaildropContents(messages, [1000] * MESSAGES, unique_ids)
    for _ in range(times):
        assert play(Session("1f-1", policy), contents) == MESSAGES


def play(session: Session, contents: MaildropContents) -> int:
    """Play one session; return how many messages were sent."""
    session.greeting()
    lines = command_lines()
    sent = 0
    for octets in DIALOGUE:
        lines.feed(octets)
        line = lines.next()
        assert isinstance(line, bytes)
        answer = session.receive(line)
        if isinstance(answer, LogIn):
            session.complete(answer, contents)
        elif isinstance(answer, SendMessage):
            session.complete(answer, None)
            sent += 1
        else:
            assert isinstance(answer, HangUp) == (line == b"QUIT")
    return sent


class Yardstick:
    """Calls, attributes, dictionaries and octets, as any Python program has them."""

    def __init__(self) -> None:
        self.names = {b"name%d" % number: number for number in range(MESSAGES)}
        self.total = 0

    def take(self, line: bytes) -> int:
        """Do what amounts to very little, in several steps."""
        word, _, rest = line.partition(b" ")
        self.total += self.names.get(rest, 0) + len(word)
        return self.total


def measure_yardstick(times: int) -> None:
    """Call the yardstick twenty times, so many times over."""
    yardstick = Yardstick()
    lines = [b"LOOK name%d" % number for number in range(MESSAGES)]
    for _ in range(times):
        for line in lines:
            yardstick.take(line)


if __name__ == "__main__":
    {"sessions": play_sessions, "yardstick": measure_yardstick}[sys.argv[1]](int(sys.argv[2]))
