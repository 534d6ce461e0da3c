"""The real program `python -m state_api`, started and stopped by tests."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from support.service_process import Process, start_service

ADMINISTRATOR = ("root", "root-password")
START_SECONDS = END_SECONDS = 30
"""Far more than a start or an end takes, even on a busy machine."""


@dataclass
class RunningApi:
    """A started program, a client of it, and where it writes."""

    process: Process
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
        return await asyncio.to_thread(self.process.wait, END_SECONDS)


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
    log, output = folder / "log", folder / "output"
    for file in (log, output):
        file.write_bytes(b"")
    before = None
    if descriptors is not None:
        before = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (descriptors, descriptors))
    with ExitStack() as stack:
        start = partial(start_service, output=output, before=before)
        process, served = await asyncio.to_thread(start, "state_api", given, log, stack)
        url = served["HTTP"]
        async with httpx.AsyncClient(base_url=url, auth=ADMINISTRATOR, timeout=END_SECONDS) as client:
            yield RunningApi(process, client, given, folder)
