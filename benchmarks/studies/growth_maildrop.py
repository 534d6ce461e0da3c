"""Growth: the cost of a login against the number of messages in the maildrop."""

from collections import defaultdict
from dataclasses import dataclass

import load
import maildrops
from contenders import DOVECOT, MAIN, PEEP, running
from load import Load
from ratios import figure, table
from sections import Json, Options, SectionResult

MESSAGES = (10, 100, 1_000, 10_000, 50_000)
_QUICK_MESSAGES = (10, 100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Point:
    """The cost of USER, PASS and QUIT for a number of messages, in microseconds of CPU."""

    messages: int
    microseconds: float


def measure(options: Options) -> SectionResult:
    """Log in repeatedly to one maildrop after another."""
    sizes = _QUICK_MESSAGES if options.is_quick else MESSAGES
    mail = maildrops.growing(options.folder / "mail", sizes)
    found: dict[str, list[Point]] = defaultdict(list)
    with running(options, mail, MAIN) as contenders:
        options.progress.plan(len(sizes) * len(MAIN))
        for user, size in enumerate(sizes):
            for name, server in contenders.servers.items():
                options.progress.step(f"{size:,} messages: {name}")
                login = Load("auth", connections=1, only_users=(user, 1))
                load.run(
                    options, server, login, seconds=3.0
                )  # the first reads every file, or writes an index
                run = load.run(options, server, login)
                found[name].append(Point(size, run.cpu_microseconds))
    return SectionResult(_text(found), {"servers": {name: _json(own) for name, own in found.items()}})


def expected(points: list[Point], messages: int) -> float:
    """Return the expected cost of a login: a constant, and a part for each message."""
    first, last = points[0], points[-1]
    each = (last.microseconds - first.microseconds) / (last.messages - first.messages)
    return first.microseconds + each * (messages - first.messages)


def _json(points: list[Point]) -> list[Json]:
    return [
        {
            "messages": point.messages,
            "cpu_microseconds": point.microseconds,
            "expected": expected(points, point.messages),
        }
        for point in points
    ]


def _text(found: dict[str, list[Point]]) -> str:
    peep, dovecot = found[PEEP], found[DOVECOT]
    rows = [
        [
            f"{ours.messages:,}",
            figure(ours.microseconds),
            figure(expected(peep, ours.messages)),
            figure(theirs.microseconds),
            figure(theirs.microseconds / ours.microseconds),
        ]
        for ours, theirs in zip(peep, dovecot, strict=True)
    ]
    head = ["Messages", "Peep: CPU, us", "Expected", "Dovecot: CPU, us", "Dovecot's CPU to Peep's"]
    law = "The law: a part that is the same for all, and a part a message; drawn through the ends.\n\n"
    return law + table(head, rows, texts=0)
