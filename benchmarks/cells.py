"""The rows of the comparison: what the clients do, which servers take part, and what counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from canned_server import CannedServer
from contenders import DOVECOT, DOVECOTS, PEEP, fastest_dovecot
from dovecot_server import DovecotArgonServer, DovecotSharedServer
from load import Load, Run
from maildrops import USERS
from ratios import Ratio, ratio
from sections import Options

Runs: TypeAlias = Mapping[str, Sequence[Run]]
"""The runs of each server in one row."""

CONNECTIONS = (1, 16, 256)
REFERENCE_CONNECTIONS = 16
"""The number of connections in the rows that have a goal, for all servers, and in the picture."""

GOALS = {"check": 5.0, "auth": 5.0, "fetch": 2.5, "drain": 2.0, "noop": 1.5}
_LONE_GOAL = 1.0
_PIPELINED_MODES = ("check", "fetch", "drain")
_ARGON_MODES = ("auth", "check")
"""With hashes, Dovecot's cost is that of the hash, whatever the client does afterwards."""

_TURNS = 4
"""The pace of a machine that others share changes from second to second: servers take turns faster."""

_DRAINED_USERS = 100
"""Whose mail has to be delivered anew for each turn of a `drain`."""

_LONE_RATE = 20.0
"""Sessions a second of the lone client: it pauses between all commands, and the server is idle."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the comparison: what the clients do, over how many connections."""

    mode: str
    connections: int
    is_pipelined: bool = False
    is_lone: bool = False
    """One client that pauses, on an idle server; what counts is how long it waits."""

    def __str__(self) -> str:
        return f"{self.label}, {self.connections} connection{'s' * (self.connections > 1)}"

    @property
    def label(self) -> str:
        """What the clients do."""
        return self.mode + ", pipelined" * self.is_pipelined + " of a lone client" * self.is_lone

    @property
    def goal(self) -> float:
        """The goal for the ratio to Dovecot; 0 if there is none."""
        if self.is_lone:
            return _LONE_GOAL
        return GOALS[self.mode] if self.connections == REFERENCE_CONNECTIONS else 0

    @property
    def turns(self) -> int:
        """The turns that a round is divided into; of a short `noop` the login would be a part."""
        return _TURNS if self.goal and self.mode != "noop" else 1

    def turn_seconds(self, seconds: float) -> float:
        """Return how long a turn of a round of `seconds` lasts; a lone client has a whole round for each."""
        return seconds if self.is_lone else seconds / self.turns

    @property
    def drained_users(self) -> int:
        """How many users lose their mail in a turn."""
        if self.mode != "drain":
            return 0
        return _DRAINED_USERS if self.goal else USERS

    def load(self) -> Load:
        """Return the load for popbench; a maildrop can be drained only once."""
        rate = _LONE_RATE if self.is_lone else 0
        only_users = (0, self.drained_users) if self.drained_users else None
        return Load(self.mode, self.connections, self.is_pipelined, bool(only_users), rate, only_users)


def cells(options: Options) -> Iterator[Cell]:
    """Return all cells, in the order of the report; a quick run has only those with a goal."""
    yield Cell("check", 1, is_lone=True)
    for mode in GOALS:
        for is_pipelined in (False, True) if mode in _PIPELINED_MODES else (False,):
            for connections in (REFERENCE_CONNECTIONS,) if options.is_quick else CONNECTIONS:
                yield Cell(mode, connections, is_pipelined)


def takes_part(name: str, cell: Cell) -> bool:
    """Return whether a server is measured in this cell; rows without a goal have the most important ones."""
    if name in (PEEP, DOVECOT, DovecotSharedServer.name):
        return True
    if name in DOVECOTS:
        return cell.goal > 0
    if name == DovecotArgonServer.name and cell.mode not in _ARGON_MODES:
        return False
    return cell.goal > 0 and not cell.is_lone


def costs(cell: Cell, runs: Runs) -> dict[str, list[float]]:
    """Return what counts of each server's rounds: CPU time of a session, for a lone client its waits."""
    return {
        name: [run.p50_ms if cell.is_lone else run.cpu_microseconds for run in own]
        for name, own in runs.items()
    }


def ratio_to_dovecot(cell: Cell, runs: Runs, name: str) -> Ratio:
    """Return how many times as much as this server the fastest of Dovecot's modes needs, round by round."""
    each = costs(cell, runs)
    return ratio(each[fastest_dovecot(each)], each[name])


def bound_microseconds(cell: Cell, runs: Runs, files: Mapping[str, float]) -> float | None:
    """Return what the kernel's sockets, its files and Valkey alone cost a session, None where unknown.

    `files` has the files' part by mode (see `bounds`); Valkey's is what it used in Peep's rounds.
    """
    if CannedServer.name not in runs:
        return None
    sockets = median(run.cpu_microseconds for run in runs[CannedServer.name])
    store = median(run.store_cpu_seconds * 1e6 / run.operations for run in runs[PEEP])
    return sockets + store + files.get(cell.mode, 0.0)
