"""One message of 600 MB: the rate of sending, and the memory it takes."""

from collections import defaultdict
from dataclasses import asdict, dataclass
from statistics import median

import load
import maildrops
from accounting import forget_peak, peak_octets
from contenders import PEEP, Contenders, fastest_dovecot, running
from dovecot_next_server import DovecotNextServer
from dovecot_server import DovecotServer
from load import Load, Run
from peep_server import PeepServer
from ratios import Bar, figure, ratio, table
from sections import Json, Options, Section, SectionResult
from servers import Server
from steadiness import steady

_LABEL = "RETR of 600 MB"
_GOAL = 1.2
_SERVERS = (PeepServer, DovecotServer, DovecotNextServer)
"""One client has one process in either of Dovecot's modes."""

_LOAD = Load("fetch", connections=1, is_once=True)


@dataclass(frozen=True, slots=True)
class Sent:
    """One RETR: its cost, and the growth of the server's processes meanwhile, in octets."""

    run: Run
    grown_octets: int

    @property
    def megabytes_a_cpu_second(self) -> float:
        """Return the rate per second of CPU time."""
        return self.run.octets / 1e6 / self.run.cpu_seconds


def measure(options: Options) -> SectionResult:
    """Send the message a few times from each server in turns."""
    mail = maildrops.large_message(options.folder / "mail")
    with running(options, mail, _SERVERS) as contenders:
        for server in contenders.servers.values():
            load.run(options, server, _LOAD)  # the first STAT reads all of it, to count its octets
        options.progress.plan(options.rounds * len(contenders.servers))
        sent = steady(
            options,
            _LABEL,
            lambda: _measure_rounds(options, contenders),
            lambda found: _bar(found).ratio.spread,
        )
    return SectionResult(_text(sent) + contenders.absences(), _figures(sent))


def _measure_rounds(options: Options, contenders: Contenders) -> dict[str, list[Sent]]:
    sent: dict[str, list[Sent]] = defaultdict(list)
    for number in range(options.rounds):
        for name, server in contenders.servers.items():
            options.progress.step(f"round {number + 1}: {name}")
            sent[name].append(_send(options, server))
    return dict(sent)


def _send(options: Options, server: Server) -> Sent:
    process_ids = server.account.process_ids()
    forget_peak(process_ids)
    before = peak_octets(process_ids)
    run = load.run(options, server, _LOAD)
    return Sent(run, peak_octets(process_ids) - before)


def _costs(sent: dict[str, list[Sent]]) -> dict[str, list[float]]:
    return {name: [each.run.cpu_seconds for each in own] for name, own in sent.items()}


def _bar(sent: dict[str, list[Sent]]) -> Bar:
    costs = _costs(sent)
    dovecot = fastest_dovecot(costs)
    return Bar(_LABEL, _GOAL, ratio(costs[dovecot], costs[PEEP]), dovecot=dovecot)


def _figures(sent: dict[str, list[Sent]]) -> dict[str, Json]:
    rounds: dict[str, Json] = {name: [asdict(each) for each in own] for name, own in sent.items()}
    return {"bars": [_bar(sent).as_json()], "rounds": rounds}


def _text(sent: dict[str, list[Sent]]) -> str:
    costs = _costs(sent)
    dovecot = costs[fastest_dovecot(costs)]
    rows = [
        [
            name,
            figure(median(each.run.octets / 1e6 / each.run.seconds for each in own)),
            figure(median(each.megabytes_a_cpu_second for each in own)),
            f"{max(each.grown_octets for each in own) / 1e6:.1f}",
            str(ratio(dovecot, costs[name])),
        ]
        for name, own in sent.items()
    ]
    head = ["Server", "MB/s", "MB per CPU second", "Growth while sending, MB", "Fastest Dovecot's CPU to its"]
    return table(head, rows)


SECTION = Section("large-message", "One message of 600 MB", measure)
