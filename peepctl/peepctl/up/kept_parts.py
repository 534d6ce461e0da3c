"""The parts of `peepctl up`, each started again when it ends."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from peepctl.up.embedded import EmbeddedServer
from service_runtime.child_process import Address, Ending, Program
from service_runtime.errors import StartError
from service_runtime.supervisor import Supervisor

STARTS_ALLOWED = 3  # after so many failures in a row, another start would fail too
ENDS_ALLOWED = 5  # so many in a row, each soon after a start
FIRST_PAUSE_SECONDS = 0.1  # doubled for each end soon after a start, and for each start that failed
LONGEST_PAUSE_SECONDS = 5.0
SOON_SECONDS = 10.0  # a part that runs longer has recovered


class Part(Protocol):
    """What runs until it ends by itself, and can then be started again."""

    async def ending(self) -> Ending:
        """Wait until it ends, and return how."""

    async def start_again(self) -> None:
        """Start it; raises StartError or OSError."""


@dataclass(frozen=True, slots=True)
class KeptServer:
    """The embedded server. It is started with its data; the services wait for it meanwhile."""

    server: EmbeddedServer

    async def ending(self) -> Ending:  # noqa: D102 - see Part
        return Ending("the embedded server", await asyncio.to_thread(self.server.wait))

    async def start_again(self) -> None:  # noqa: D102
        await asyncio.to_thread(self.server.start_again)


@dataclass(frozen=True, slots=True)
class KeptService:
    """A service. `announce` is called with the addresses that it listens on after another start."""

    supervisor: Supervisor
    program: Program
    announce: Callable[[Iterable[Address]], None]

    async def ending(self) -> Ending:  # noqa: D102 - see Part
        return await self.supervisor.ending(self.program.name)

    async def start_again(self) -> None:  # noqa: D102
        self.announce(await self.supervisor.start(self.program))


async def keep_running(part: Part, say: Callable[[str], None]) -> str:
    """Start `part` again whenever it ends; return the reason once that does not help.

    Each end is reported to `say` in one line.
    """
    clock = asyncio.get_running_loop().time
    pause, ends = FIRST_PAUSE_SECONDS, 0
    while True:
        began = clock()
        ending = await part.ending()
        is_soon = clock() - began < SOON_SECONDS
        pause, ends = (_longer(pause), ends + 1) if is_soon else (FIRST_PAUSE_SECONDS, 0)
        if ends == ENDS_ALLOWED:
            return f"{ending}, {ends} times in a row soon after its start (see its last log lines above)"
        say(f"{ending}: starting it again")
        await asyncio.sleep(pause)
        if (failure := await _start_again(part)) is not None:
            return failure


async def _start_again(part: Part) -> str | None:
    pause = FIRST_PAUSE_SECONDS
    for remaining in reversed(range(STARTS_ALLOWED)):
        try:
            await part.start_again()
            return None
        except (StartError, OSError) as error:
            failure = str(error)
        if remaining:
            await asyncio.sleep(pause := _longer(pause))
    return f"{STARTS_ALLOWED} starts in a row have failed: {failure}"


def _longer(pause: float) -> float:
    return min(2 * pause, LONGEST_PAUSE_SECONDS)
