"""Growth: sessions a second against the number of workers."""

from dataclasses import dataclass, replace

import load
import maildrops
from contenders import site
from load import Load, Run
from machine import all_cores
from peep_server import PeepServer
from ratios import figure, table
from sections import Json, Options, SectionResult

WORKERS = (1, 2)
_LOAD = Load("check", connections=64)


@dataclass(frozen=True, slots=True)
class Point:
    """The result with a number of workers, and the expected sessions per second."""

    workers: int
    run: Run
    expected: float


def measure(options: Options) -> SectionResult:
    """Measure `check` with each number of workers, on as many cores."""
    mail = maildrops.lifelike(options.folder / "mail")
    options.progress.plan(len(WORKERS))
    points: list[Point] = []
    for workers in WORKERS:
        options.progress.step(f"{workers} worker{'s' * (workers > 1)}")
        run = _measure_one(options, mail, workers)
        points.append(Point(workers, run, _expected(points[0].run if points else run, workers)))
    return SectionResult(_text(points), {"points": [_json(point) for point in points]})


def _measure_one(options: Options, mail: maildrops.Mail, workers: int) -> Run:
    cores = all_cores()
    own = replace(site(options, mail, f"peep {workers}"), cores=frozenset(cores[:workers]))
    options = replace(options, load_core=cores[-1])
    with PeepServer(own, workers=workers, has_cheap_hashes=True) as server:
        for _ in range(2):  # each worker remembers what it has seen itself
            load.run(options, server, _LOAD, seconds=max(2.0, options.seconds / 2))
        return load.run(options, server, _LOAD, seconds=2 * options.seconds)


def _expected(first: Run, workers: int) -> float:
    """Return n times the rate of one worker, less the clients' share of a core that they use too."""
    server, clients = first.cpu_seconds / first.operations, first.client_cpu_seconds / first.operations
    if workers < len(all_cores()):
        return workers / server
    return len(all_cores()) / (server + clients)


def _json(point: Point) -> Json:
    return {
        "workers": point.workers,
        "sessions_a_second": point.run.rate,
        "cpu_microseconds": point.run.cpu_microseconds,
        "expected": point.expected,
    }


def _text(points: list[Point]) -> str:
    rows = [
        [
            str(point.workers),
            figure(point.run.rate),
            figure(point.run.rate / points[0].run.rate),
            figure(point.expected / points[0].run.rate),
            figure(point.run.cpu_microseconds),
        ]
        for point in points
    ]
    head = ["Workers", "`check` a second", "To one worker's", "Expected", "CPU each, us"]
    law = "The law: n times as much, less what the clients take of a core that they share.\n\n"
    return law + table(head, rows, texts=0)
