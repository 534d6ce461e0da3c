"""Peep beside other servers: sessions per second, CPU time per session, and latency."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median

import load
import maildrops
from canned_server import CannedServer
from contenders import ALL, DOVECOT, PEEP, Contenders, running
from dovecot_server import DovecotArgonServer
from load import Load, Run
from ratios import Bar, Ratio, figure, ratio, table
from sections import Json, Options, Section, SectionResult
from servers import Server

CONNECTIONS = (1, 16, 256)
REFERENCE_CONNECTIONS = 16
"""The number of connections for servers other than Peep and Dovecot, and in the picture."""

GOALS = {"check": 5.0, "auth": 5.0, "fetch": 2.5, "drain": 2.0, "noop": 1.5}
_PIPELINED_MODES = ("check", "fetch", "drain")
_ARGON_MODES = ("auth", "check")
"""With hashes, Dovecot's cost is that of the hash, whatever the client does afterwards."""

_WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the comparison: what the clients do, over how many connections."""

    mode: str
    connections: int
    is_pipelined: bool

    def __str__(self) -> str:
        pipelined = ", pipelined" if self.is_pipelined else ""
        return f"{self.mode}{pipelined}, {self.connections} connection{'s' * (self.connections > 1)}"

    def load(self) -> Load:
        """Return the load for popbench; a maildrop can be drained only once."""
        return Load(self.mode, self.connections, self.is_pipelined, is_once=self.mode == "drain")


@dataclass(slots=True)
class Results:
    """The runs of each server, and notes on them."""

    first_logins: dict[str, Run]
    runs: dict[Cell, dict[str, list[Run]]]
    notes: list[str]
    absences: str


def cells(options: Options) -> Iterator[Cell]:
    """Return all cells, in the order of the report; a quick run has one number of connections."""
    for mode in GOALS:
        for is_pipelined in (False, True) if mode in _PIPELINED_MODES else (False,):
            for connections in (REFERENCE_CONNECTIONS,) if options.is_quick else CONNECTIONS:
                yield Cell(mode, connections, is_pipelined)


def takes_part(name: str, cell: Cell) -> bool:
    """Return whether a server is measured in this cell."""
    if name in (PEEP, DOVECOT):
        return True
    if name == DovecotArgonServer.name and cell.mode not in _ARGON_MODES:
        return False
    return cell.connections == REFERENCE_CONNECTIONS and not (
        name == CannedServer.name and cell.mode == "drain"
    )


def measure(options: Options) -> SectionResult:
    """Measure all servers in turns, and return the tables."""
    mail = maildrops.lifelike(options.folder / "mail")
    with running(options, mail, ALL) as contenders:
        results = Results({}, {}, [], contenders.absences())
        plan = [(cell, _participants(contenders, cell)) for cell in cells(options)]
        options.progress.plan(sum(len(servers) for _, servers in plan) * options.rounds)
        _warm_up(options, contenders, results)
        for cell, servers in plan:
            results.runs[cell] = _measure_cell(options, mail, cell, servers, results.notes)
    return SectionResult(_text(results), _figures(results))


def _participants(contenders: Contenders, cell: Cell) -> list[Server]:
    return [server for name, server in contenders.servers.items() if takes_part(name, cell)]


def _warm_up(options: Options, contenders: Contenders, results: Results) -> None:
    for name, server in contenders.servers.items():
        options.progress.say(f"first logins, and warming up: {name}")
        results.first_logins[name] = load.run(options, server, Load("auth", is_once=True))
        for mode in ("check", "fetch"):
            load.run(options, server, Load(mode), seconds=_WARM_UP_SECONDS)


def _measure_cell(
    options: Options, mail: maildrops.Mail, cell: Cell, servers: list[Server], notes: list[str]
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = defaultdict(list)
    for server in servers:
        if cell.mode != "drain":
            load.run(options, server, cell.load(), seconds=_WARM_UP_SECONDS)
    for number in range(options.rounds):
        for server in servers:
            options.progress.step(f"{cell}, round {number + 1}: {server.name}")
            if cell.mode == "drain":
                server.refill(mail)
            run = load.run(options, server, cell.load())
            runs[server.name].append(run)
            if run.failed:
                notes.append(f"{server.name}, {cell}: {run.failed} sessions failed, {run.first_error}")
            if cell.mode == "drain" and (left := server.left_over()):
                notes.append(f"{server.name}, {cell}: {left} messages were left")
    return dict(runs)


def _ratio(runs: dict[str, list[Run]], name: str) -> Ratio:
    costs = {name: [run.cpu_microseconds for run in runs[name]] for name in (name, DOVECOT)}
    return ratio(costs[DOVECOT], costs[name])


def _bars(results: Results) -> list[Bar]:
    return [
        Bar(cell.mode + ", pipelined" * cell.is_pipelined, GOALS[cell.mode], _ratio(runs, PEEP))
        for cell, runs in results.runs.items()
        if cell.connections == REFERENCE_CONNECTIONS
    ]


def _figures(results: Results) -> dict[str, Json]:
    cells_found: list[Json] = [
        {
            **asdict(cell),
            "server": name,
            "rounds": [asdict(run) for run in own],
            "ratio": _ratio(runs, name).as_json(),
        }
        for cell, runs in results.runs.items()
        for name, own in runs.items()
    ]
    first: dict[str, Json] = {name: asdict(run) for name, run in results.first_logins.items()}
    notes: list[Json] = list(results.notes)
    bars: list[Json] = [bar.as_json() for bar in _bars(results)]
    return {"bars": bars, "cells": cells_found, "first_logins": first, "notes": notes}


def _text(results: Results) -> str:
    head = ["What", "Server", "a second", "CPU each, us", "p50, ms", "p99, ms", "Dovecot's CPU to its"]
    rows = [
        [str(cell), name, *_row(own), str(_ratio(runs, name))]
        for cell, runs in results.runs.items()
        for name, own in runs.items()
    ]
    notes = "".join(f"\n{note}.\n" for note in results.notes)
    return table(head, rows, texts=2) + "\n" + _first_logins_text(results) + notes + results.absences


def _row(runs: list[Run]) -> list[str]:
    return [
        figure(median(value))
        for value in (
            [run.rate for run in runs],
            [run.cpu_microseconds for run in runs],
            [run.p50_ms for run in runs],
            [run.p99_ms for run in runs],
        )
    ]


def _first_logins_text(results: Results) -> str:
    dovecot = results.first_logins[DOVECOT].cpu_microseconds
    rows = [
        [name, figure(run.cpu_microseconds / 1000), figure(dovecot / run.cpu_microseconds)]
        for name, run in results.first_logins.items()
    ]
    head = ["The first login of each user after a start", "CPU each, ms", "Dovecot's CPU to its"]
    return table(head, rows)


SECTION = Section("comparison", "Sessions, side by side", measure)
