"""Idle sessions: the server's memory for each."""

import time
from dataclasses import dataclass

import maildrops
from contenders import DOVECOT, DOVECOTS, PEEP, ServerKind, site
from dovecot_next_server import DovecotNextServer, DovecotNextSharedServer
from dovecot_server import DovecotServer, DovecotSharedServer
from load import idle_sessions
from maildrops import Mail
from peep_server import EVERYBODY, PeepServer
from ratios import Bar, Limit, Ratio, table
from sections import Json, Options, Section, SectionResult
from servers import Server, ServerError

SESSIONS = {
    PEEP: 10_000,
    DOVECOT: 1_000,
    DovecotSharedServer.name: 5_000,
    DovecotNextServer.name: 1_000,
    DovecotNextSharedServer.name: 5_000,
}
"""Dovecot has fewer where each has its own process; the result is the memory of one session."""

_QUICK_PART = 5
LIMIT_KILOBYTES = 6.7
_SETTLING_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Idle:
    """The number of sessions, and the whole server's memory in octets before and with them."""

    sessions: int
    before: int
    after: int

    @property
    def octets_each(self) -> float:
        """The memory of one session."""
        return (self.after - self.before) / self.sessions


def measure(options: Options) -> SectionResult:
    """Measure one server after another: memory does not depend on other work of the machine."""
    sessions = {name: count // _QUICK_PART if options.is_quick else count for name, count in SESSIONS.items()}
    mail = maildrops.small(options.folder / "mail", users=max(sessions.values()), messages=2)
    options.progress.plan(len(sessions))
    found = {}
    for name, count in sessions.items():
        options.progress.step(f"{count:,} sessions: {name}")
        try:
            with _server(options, mail, name) as server:
                found[name] = measure_one(options, server, count)
        except ServerError as error:
            if name in (PEEP, DOVECOT):
                raise
            options.progress.say(f"without {name}: {error}")
    return SectionResult(_text(found), _figures(found))


def measure_one(options: Options, server: Server, count: int) -> Idle:
    """Open `count` sessions and return their memory, after a few that are not counted."""
    with idle_sessions(options, server, min(count, 16)):
        pass
    time.sleep(_SETTLING_SECONDS)
    before = server.memory_octets()
    with idle_sessions(options, server, count):
        time.sleep(_SETTLING_SECONDS)
        return Idle(count, before, server.memory_octets())


def _server(options: Options, mail: Mail, name: str) -> Server:
    own = site(options, mail, name)
    # 10,000 checks of real hashes would take minutes.
    kinds: dict[str, ServerKind] = {
        kind.name: kind
        for kind in (DovecotServer, DovecotSharedServer, DovecotNextServer, DovecotNextSharedServer)
    }
    if name == PEEP:
        return PeepServer(own, has_cheap_hashes=True, trusted_networks=EVERYBODY)
    return kinds[name](own)


def _smallest(found: dict[str, Idle]) -> str:
    return min((name for name in DOVECOTS if name in found), key=lambda name: found[name].octets_each)


def _figures(found: dict[str, Idle]) -> dict[str, Json]:
    servers: dict[str, Json] = {
        name: {"sessions": idle.sessions, "octets_before": idle.before, "octets_with_them": idle.after}
        for name, idle in found.items()
    }
    dovecot = _smallest(found)
    value = found[dovecot].octets_each / found[PEEP].octets_each
    kilobytes = found[PEEP].octets_each / 1e3
    return {
        "bars": [Bar("memory of an idle session", 0, Ratio(value, value, value), dovecot=dovecot).as_json()],
        "limits": [Limit("memory of an idle session, kB", LIMIT_KILOBYTES, kilobytes).as_json()],
        "servers": servers,
    }


def _text(found: dict[str, Idle]) -> str:
    rows = [
        [
            name,
            f"{idle.sessions:,}",
            f"{idle.before / 1e6:.1f}",
            f"{idle.after / 1e6:.1f}",
            f"{idle.octets_each / 1e3:.1f}",
            f"{found[_smallest(found)].octets_each / idle.octets_each:.1f}",
        ]
        for name, idle in found.items()
    ]
    head = ["Server", "Sessions", "Before, MB", "With them, MB", "Each, kB", "Smallest Dovecot's to its"]
    return table(head, rows) + "\nMemory is the proportional set size of all processes of the server.\n"


SECTION = Section("idle-sessions", "Sessions that do nothing", measure)
