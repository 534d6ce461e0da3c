"""Growth: latency against the number of connections."""

from dataclasses import dataclass

import load
import maildrops
from contenders import site
from load import Load, Run
from peep_server import PeepServer
from ratios import Limit, figure, table
from sections import Json, Options, SectionResult

CONNECTIONS = (16, 64, 256, 1_000, 4_000, 8_000)
_QUICK_CONNECTIONS = (16, 256, 2_000)
REFERENCE = 256
_PART_OF_CAPACITY = 0.5
_LIMIT = 4.0


@dataclass(frozen=True, slots=True)
class Point:
    """`check` with a number of connections, at half of the server's capacity and at all of it."""

    connections: int
    paced: Run
    saturated: Run
    expected_saturated_ms: float


def measure(options: Options) -> SectionResult:
    """Measure one server with more and more connections."""
    counts = _QUICK_CONNECTIONS if options.is_quick else CONNECTIONS
    mail = maildrops.small(options.folder / "mail", users=max(counts), messages=2)
    options.progress.plan(2 * len(counts))
    with PeepServer(site(options, mail, "peep"), has_cheap_hashes=True) as server:
        load.run(options, server, Load("check", is_once=True))
        capacity = load.run(options, server, Load("check", connections=64)).rate
        points = [_measure_one(options, server, count, capacity) for count in counts]
    figures: list[Json] = [_json(point) for point in points]
    largest = points[-1]
    label = f"p99 of `check` with {largest.connections:,} connections, to that with {REFERENCE}"
    limit = Limit(label, _LIMIT, largest.paced.p99_ms / _reference(points).paced.p99_ms)
    found: dict[str, Json] = {"points": figures, "capacity": capacity, "limits": [limit.as_json()]}
    return SectionResult(_text(points, capacity), found)


def _measure_one(options: Options, server: PeepServer, count: int, capacity: float) -> Point:
    rate = capacity * _PART_OF_CAPACITY
    # A few sessions for each connection, so that start and end do not dominate.
    options.progress.step(f"{count:,} connections at half of the capacity")
    paced = load.run(
        options, server, Load("check", count, rate=rate), seconds=options.seconds + 2 * count / rate
    )
    options.progress.step(f"{count:,} connections, as fast as it goes")
    saturated = load.run(
        options, server, Load("check", count), seconds=options.seconds + 3 * count / capacity
    )
    return Point(count, paced, saturated, 1000 * count / capacity)


def _reference(points: list[Point]) -> Point:
    return next(point for point in points if point.connections == REFERENCE)


def _json(point: Point) -> Json:
    return {
        "connections": point.connections,
        "paced": {"p50_ms": point.paced.p50_ms, "p99_ms": point.paced.p99_ms, "rate": point.paced.rate},
        "saturated": {"p50_ms": point.saturated.p50_ms, "p99_ms": point.saturated.p99_ms},
        "expected_saturated_ms": point.expected_saturated_ms,
        "failed": point.paced.failed + point.saturated.failed,
    }


def _text(points: list[Point], capacity: float) -> str:
    reference = _reference(points).paced.p99_ms
    rows = [
        [
            f"{point.connections:,}",
            f"{figure(point.paced.p50_ms)} / {figure(point.paced.p99_ms)}",
            figure(point.paced.p99_ms / reference),
            f"{figure(point.saturated.p50_ms)} / {figure(point.saturated.p99_ms)}",
            figure(point.expected_saturated_ms),
            str(point.paced.failed + point.saturated.failed),
        ]
        for point in points
    ]
    head = [
        *("Connections", "paced: p50 / p99, ms", f"p99 to that of {REFERENCE}"),
        *("saturated: p50 / p99, ms", "Expected, ms", "failed"),
    ]
    law = (
        "Of a `check` session, all waits for replies added up. Paced: all connections together begin half "
        f"of the {figure(capacity)} sessions a second that the server can do, and wait between commands; the "
        "law is a constant. Saturated: each connection goes on at once; the law is connections over "
        "sessions a second.\n\n"
    )
    return law + table(head, rows, texts=0)
