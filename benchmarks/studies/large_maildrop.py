"""A maildrop of 50,000 messages: login, STAT, LIST, RETR of the last."""

from collections import defaultdict
from dataclasses import asdict
from statistics import median

import load
import maildrops
from contenders import DOVECOT, MAIN, running
from load import Load, Run
from ratios import figure, ratio, table
from sections import Json, Options, Section, SectionResult

MESSAGES = 50_000
_LOAD = Load("last", connections=1, is_once=True)


def measure(options: Options) -> SectionResult:
    """Measure the first session after a start, and those that follow."""
    mail = maildrops.small(options.folder / "mail", users=1, messages=MESSAGES)
    first: dict[str, Run] = {}
    runs: dict[str, list[Run]] = defaultdict(list)
    with running(options, mail, MAIN) as contenders:
        options.progress.plan((options.rounds + 1) * len(contenders.servers))
        for name, server in contenders.servers.items():
            options.progress.step(f"first session: {name}")
            first[name] = load.run(options, server, _LOAD)
        for number in range(options.rounds):
            for name, server in contenders.servers.items():
                options.progress.step(f"round {number + 1}: {name}")
                runs[name].append(load.run(options, server, _LOAD))
    return SectionResult(_text(first, runs), _figures(first, runs))


def _figures(first: dict[str, Run], runs: dict[str, list[Run]]) -> dict[str, Json]:
    first_runs: dict[str, Json] = {name: asdict(run) for name, run in first.items()}
    rounds: dict[str, Json] = {name: [asdict(run) for run in own] for name, own in runs.items()}
    return {"messages": MESSAGES, "first": first_runs, "rounds": rounds}


def _text(first: dict[str, Run], runs: dict[str, list[Run]]) -> str:
    rows = [_row("the first after a start", name, [run], [first[DOVECOT]]) for name, run in first.items()]
    rows += [_row("each one after that", name, own, runs[DOVECOT]) for name, own in runs.items()]
    head = ["Session", "Server", "CPU, ms", "Time, ms", "Dovecot's CPU to its"]
    return table(head, rows, texts=2)


def _row(what: str, name: str, own: list[Run], dovecot: list[Run]) -> list[str]:
    cost = ratio([run.cpu_seconds for run in dovecot], [run.cpu_seconds for run in own])
    cpu = median(run.cpu_seconds * 1000 for run in own)
    return [what, name, figure(cpu), figure(median(run.p50_ms for run in own)), str(cost)]


SECTION = Section("large-maildrop", f"A maildrop of {MESSAGES:,} messages", measure)
