"""Peep beside other servers: sessions per second, CPU time per session, and latency."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any, cast

import bounds
import load
import maildrops
from cells import Cell, bound_microseconds, cells, costs, ratio_to_dovecot, takes_part
from contenders import ALL, DOVECOTS, PEEP, Contenders, fastest_dovecot, running
from load import Load, Run
from ratios import LARGEST_SPREAD, Bar, figure, table
from sections import Json, Options, Section, SectionResult
from servers import Server
from steadiness import steady

_WARM_UP_SECONDS = 1.0

_ROUNDS_OF_ALL = 3
"""Rounds of all servers in a row with a goal; after them Peep goes on beside its rivals."""

_RIVAL = 1.2
"""A version or mode of Dovecot is a rival if it costs at most so many times as much as the fastest."""


@dataclass(slots=True)
class Results:
    """The runs of each server, and notes on them."""

    first_logins: dict[str, Run]
    runs: dict[Cell, dict[str, list[Run]]]
    files: dict[str, float]
    """What a session's files alone cost, in microseconds, by mode."""
    notes: list[str]
    absences: str


def measure(options: Options) -> SectionResult:
    """Measure all servers in turns, and return the tables."""
    mail = maildrops.lifelike(options.folder / "mail")
    with running(options, mail, ALL) as contenders:
        files = bounds.file_microseconds(options, mail)
        notes = cast("list[str]", options.earlier.get("notes", []))
        results = Results({}, {}, files, list(notes), contenders.absences())
        plan = [(cell, _participants(contenders, cell)) for cell in cells(options)]
        known = _steady_runs(options.earlier)
        options.progress.plan(
            sum(
                len(servers) * _turns_of_all(options, cell) + 2 * _turns_of_rivals(options, cell)
                for cell, servers in plan
                if cell not in known
            )
        )
        _warm_up(options, contenders, results)
        for cell, servers in plan:
            results.runs[cell] = known.get(cell) or _measure_cell(options, mail, cell, servers, results.notes)
            options.keep(SectionResult(_text(results), _figures(results)))
    return SectionResult(_text(results), _figures(results))


def _steady_runs(earlier: Mapping[str, Json]) -> dict[Cell, dict[str, list[Run]]]:
    """Return the rows of earlier figures that need not be measured anew."""
    found: dict[Cell, dict[str, list[Run]]] = defaultdict(dict)
    for each in cast("list[dict[str, Any]]", earlier.get("cells", [])):
        cell = Cell(**{field.name: each[field.name] for field in fields(Cell)})
        found[cell][each["server"]] = [Run(**run) for run in each["rounds"]]
    return {
        cell: runs
        for cell, runs in found.items()
        if not cell.goal or ratio_to_dovecot(cell, runs, PEEP).spread <= LARGEST_SPREAD
    }


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
    for server in servers:
        if not cell.drained_users and not cell.is_lone:
            load.run(options, server, cell.load(), seconds=min(_WARM_UP_SECONDS, options.seconds))
    return steady(
        options,
        str(cell),
        lambda: _measure_rounds(options, mail, cell, servers, notes),
        lambda runs: ratio_to_dovecot(cell, runs, PEEP).spread,
    )


def _turns_of_all(options: Options, cell: Cell) -> int:
    return cell.turns * min(options.rounds, _ROUNDS_OF_ALL) if cell.goal else 1


def _turns_of_rivals(options: Options, cell: Cell) -> int:
    return cell.turns * max(options.rounds - _ROUNDS_OF_ALL, 0) if cell.goal else 0


def _rivals(cell: Cell, runs: dict[str, list[Run]]) -> list[str]:
    each = costs(cell, runs)
    most = _RIVAL * median(each[fastest_dovecot(each)])
    return [name for name in each if name == PEEP or (name in DOVECOTS and median(each[name]) <= most)]


def _measure_rounds(
    options: Options, mail: maildrops.Mail, cell: Cell, servers: list[Server], notes: list[str]
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = defaultdict(list)
    turns_of_all = _turns_of_all(options, cell)
    for number in range(turns_of_all + _turns_of_rivals(options, cell)):
        if number == turns_of_all:
            rivals = _rivals(cell, runs)
            servers = [server for server in servers if server.name in rivals]
        for server in servers:
            options.progress.step(f"{cell}, turn {number + 1}: {server.name}")
            run = load.run(options, server, cell.load(), seconds=cell.turn_seconds(options.seconds))
            runs[server.name].append(run)
            if run.failed:
                notes.append(f"{server.name}, {cell}: {run.failed} sessions failed, {run.first_error}")
            if left := server.left_over(cell.drained_users):
                notes.append(f"{server.name}, {cell}: {left} messages were left")
            server.refill(mail, cell.drained_users)
    return dict(runs)


def _bars(results: Results) -> list[Bar]:
    return [_bar(cell, runs, results.files) for cell, runs in results.runs.items() if cell.goal]


def _bar(cell: Cell, runs: dict[str, list[Run]], files: dict[str, float]) -> Bar:
    each = costs(cell, runs)
    dovecot = fastest_dovecot(each)
    bound = bound_microseconds(cell, runs, files)
    return Bar(
        cell.label,
        cell.goal,
        ratio_to_dovecot(cell, runs, PEEP),
        bound and median(each[dovecot]) / bound,
        dovecot,
    )


def _figures(results: Results) -> dict[str, Json]:
    cells_found: list[Json] = [
        {
            **asdict(cell),
            "server": name,
            "rounds": [asdict(run) for run in own],
            "ratio": ratio_to_dovecot(cell, runs, name).as_json(),
        }
        for cell, runs in results.runs.items()
        for name, own in runs.items()
    ]
    first: dict[str, Json] = {name: asdict(run) for name, run in results.first_logins.items()}
    notes: list[Json] = list(results.notes)
    bars: list[Json] = [bar.as_json() for bar in _bars(results)]
    return {"bars": bars, "cells": cells_found, "first_logins": first, "notes": notes}


def _text(results: Results) -> str:
    head = [
        *("What", "Server", "a second", "CPU each, us", "Bound, us", "p50, ms", "p99, ms"),
        "Fastest Dovecot's to its",
    ]
    rows = [
        [str(cell), name, *_row(cell, runs, name, results.files), str(ratio_to_dovecot(cell, runs, name))]
        for cell, runs in results.runs.items()
        for name in runs
    ]
    law = (
        "The bound is what a session costs without any work of Peep's: the sockets (the floor's CPU time), "
        "the messages' files opened, read, closed and removed, and Valkey's part. The last column is CPU "
        "time; in the row of a lone client, who pauses between all commands on an idle server, it is p50.\n\n"
    )
    notes = "".join(f"\n{note}.\n" for note in results.notes)
    return law + table(head, rows, texts=2) + "\n" + _first_logins_text(results) + notes + results.absences


def _row(cell: Cell, runs: dict[str, list[Run]], name: str, files: dict[str, float]) -> list[str]:
    bound = bound_microseconds(cell, runs, files) if name == PEEP else None
    own = runs[name]
    return [
        figure(median(run.rate for run in own)),
        figure(median(run.cpu_microseconds for run in own)),
        "" if bound is None else figure(bound),
        figure(median(run.p50_ms for run in own)),
        figure(median(run.p99_ms for run in own)),
    ]


def _first_logins_text(results: Results) -> str:
    dovecot = min(run.cpu_microseconds for name, run in results.first_logins.items() if name in DOVECOTS)
    rows = [
        [name, figure(run.cpu_microseconds / 1000), figure(dovecot / run.cpu_microseconds)]
        for name, run in results.first_logins.items()
    ]
    head = ["The first login of each user after a start", "CPU each, ms", "Fastest Dovecot's to its"]
    return table(head, rows)


SECTION = Section("comparison", "Sessions, side by side", measure)
