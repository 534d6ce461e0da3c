"""The servers that are compared: started side by side, each with the same mail in a folder of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TypeAlias

from canned_server import CannedServer
from courier_server import CourierServer
from dovecot_next_server import DovecotNextServer, DovecotNextSharedServer
from dovecot_server import DovecotArgonServer, DovecotServer, DovecotSharedServer
from maildrops import Mail, linked_copy
from peep_server import PeepServer
from popa3d_server import Popa3dServer
from sections import Options
from servers import Server, ServerError, Site

ServerKind: TypeAlias = Callable[[Site], Server]

PEEP = PeepServer.name
DOVECOT = DovecotServer.name
ALL: tuple[type[Server], ...] = (
    PeepServer,
    DovecotServer,
    DovecotSharedServer,
    DovecotNextServer,
    DovecotNextSharedServer,
    DovecotArgonServer,
    CourierServer,
    Popa3dServer,
    CannedServer,
)
MAIN: tuple[type[Server], ...] = (PeepServer, DovecotServer)
DOVECOTS = tuple(
    kind.name for kind in ALL if issubclass(kind, DovecotServer) and kind is not DovecotArgonServer
)
"""Dovecot's versions and modes with plain-text passwords."""


@dataclass(slots=True)
class Contenders:
    """The running servers by name, and why others are missing."""

    servers: dict[str, Server] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def absences(self) -> str:
        """Return the report's note on servers that could not be measured."""
        return "".join(f"\nNot measured: {name}, {reason}.\n" for name, reason in self.missing.items())


@contextmanager
def running(options: Options, mail: Mail, kinds: Sequence[type[Server]]) -> Iterator[Contenders]:
    """Run these servers while the block lasts. Raises `ServerError` if Peep or Dovecot cannot run."""
    found = Contenders()
    with ExitStack() as stack:
        for kind in kinds:
            options.progress.say(f"starting {kind.name}")
            try:
                found.servers[kind.name] = stack.enter_context(kind(site(options, mail, kind.name)))
            except ServerError as error:
                if kind in MAIN:
                    raise
                found.missing[kind.name] = str(error)
                options.progress.say(f"without {kind.name}: {error}")
        yield found


def fastest_dovecot(costs: Mapping[str, Sequence[float]]) -> str:
    """Return the version and mode of Dovecot whose median cost is the smallest, of those measured longest."""
    dovecots = [name for name in DOVECOTS if name in costs]
    most = max(len(costs[name]) for name in dovecots)
    return min((name for name in dovecots if len(costs[name]) == most), key=lambda name: median(costs[name]))


def site(options: Options, mail: Mail, name: str) -> Site:
    """Return a site for one server with its own copy of the mail."""
    folder = options.folder / name.lower().replace(", ", "-").replace(" ", "-")
    own = linked_copy(mail, options.folder / f"{folder.name}-mail")
    return Site(folder, own.folder, own.users, frozenset({options.server_core}), options.programs)
