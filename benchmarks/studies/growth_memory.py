"""Growth: memory of the whole server against the number of sessions."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import maildrops
from contenders import DOVECOT, PEEP, site
from dovecot_server import DovecotServer
from load import idle_sessions
from peep_server import EVERYBODY, PeepServer
from ratios import table
from sections import Json, Options, SectionResult
from servers import Server

SESSIONS = {PEEP: (0, 1_000, 2_000, 5_000, 10_000), DOVECOT: (0, 250, 500, 1_000)}
_QUICK_SESSIONS = {PEEP: (0, 500, 2_000), DOVECOT: (0, 100, 200)}
_SETTLING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """The memory with a number of sessions, in octets."""

    sessions: int
    octets: int


def measure(options: Options) -> SectionResult:
    """Measure one server after the other, with more and more sessions."""
    counts = _QUICK_SESSIONS if options.is_quick else SESSIONS
    mail = maildrops.small(options.folder / "mail", users=counts[PEEP][-1], messages=2)
    options.progress.plan(sum(map(len, counts.values())))
    with PeepServer(site(options, mail, PEEP), has_cheap_hashes=True, trusted_networks=EVERYBODY) as peep:
        found = {PEEP: _measure_one(options, peep, counts[PEEP])}
    with DovecotServer(site(options, mail, DOVECOT)) as dovecot:
        found[DOVECOT] = _measure_one(options, dovecot, counts[DOVECOT])
    return SectionResult(_text(found), {"servers": {name: _json(points) for name, points in found.items()}})


def _measure_one(options: Options, server: Server, counts: Sequence[int]) -> list[Point]:
    with idle_sessions(options, server, 16):
        pass
    points = []
    for count in counts:
        options.progress.step(f"{count:,} sessions: {server.name}")
        if count == 0:
            time.sleep(_SETTLING_SECONDS)
            points.append(Point(0, server.memory_octets()))
            continue
        with idle_sessions(options, server, count):
            time.sleep(_SETTLING_SECONDS)
            points.append(Point(count, server.memory_octets()))
    return points


def expected(points: list[Point], sessions: int) -> float:
    """Return the expected memory: a constant, and a part for each session."""
    first, last = points[0], points[-1]
    return first.octets + sessions * (last.octets - first.octets) / last.sessions


def _json(points: list[Point]) -> list[Json]:
    return [
        {"sessions": point.sessions, "octets": point.octets, "expected": expected(points, point.sessions)}
        for point in points
    ]


def _text(found: dict[str, list[Point]]) -> str:
    empty = found[DOVECOT][0].octets
    rows = [
        [
            name,
            f"{point.sessions:,}",
            f"{point.octets / 1e6:.1f}",
            f"{expected(points, point.sessions) / 1e6:.1f}",
            f"{point.octets / empty:.2f}",
        ]
        for name, points in found.items()
        for point in points
    ]
    head = ["Server", "Sessions", "Memory, MB", "Expected, MB", "To Dovecot's without any"]
    law = "The law: so much for the server, and so much a session; drawn through the ends.\n\n"
    return law + table(head, rows)
