"""The real program `python -m state_api`, started and stopped by tests."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from service_runtime.child_process import Child, Program

ADMINISTRATOR = ("root", "root-password")
START_SECONDS = 20
END_SECONDS = 10


@dataclass
class RunningApi:
    """A started program, a client of it, and where it writes."""

    child: Child
    client: httpx.AsyncClient
    environment: dict[str, str]
    folder: Path

    @property
    def port(self) -> int:
        port = self.client.base_url.port
        assert port is not None
        return port

    def log(self) -> str:
        """Return what it has written to standard error so far."""
        return (self.folder / "log").read_text()

    def output(self) -> str:
        """Return what it has written to standard output so far."""
        return (self.folder / "output").read_text()

    async def exit_code(self) -> int:
        """Return its exit code, soon after it was told to end."""
        return await asyncio.wait_for(asyncio.shield(self.child.ended), END_SECONDS)


def environment(redis_url: str, **settings: str) -> dict[str, str]:
    """Return an environment for the program, with a port of its choice."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}
    chosen = {"PEEP_REDIS_URL": redis_url, "PEEP_HTTP_PORT": "0", "PEEP_ADMINS": ":".join(ADMINISTRATOR)}
    return {**inherited, **chosen, **settings}


@asynccontextmanager
async def running_api(
    redis_url: str, folder: Path, *, descriptors: int | None = None, **settings: str
) -> AsyncIterator[RunningApi]:
    """Run the program until the block ends, with so many `descriptors` at the most."""
    given = environment(redis_url, **settings)
    # The shell only sends the output to files; `exec` puts the program in its place.
    limit = f"ulimit -n {descriptors}; " if descriptors is not None else ""
    script = f'{limit}exec "$0" -m state_api >"{folder}/output" 2>"{folder}/log"'
    child = await Child.spawn(Program("state-api", ["/bin/sh", "-c", script, sys.executable], given))
    try:
        (address,) = await child.ready(START_SECONDS)
        async with httpx.AsyncClient(base_url=address.address, auth=ADMINISTRATOR, timeout=20) as client:
            yield RunningApi(child, client, given, folder)
    finally:
        child.send(signal.SIGKILL)
        await child.ended
