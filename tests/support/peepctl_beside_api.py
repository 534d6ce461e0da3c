"""`peepctl` in this process, beside the HTTP API of this process."""

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from support.api_client import ADMINISTRATOR, ADMINISTRATOR_PASSWORD
from support.api_server import ApiServer
from support.peepctl_program import Done, Peepctl


class PeepctlBesideApi:
    """Runs commands as the administrator of the API, or as the variables say."""

    def __init__(self, api: ApiServer, home: Path) -> None:
        self.home = home
        self.api = api
        self.peepctl = Peepctl(
            home,
            PEEPCTL_HTTP=f"http://127.0.0.1:{api.port}",
            PEEPCTL_USER=ADMINISTRATOR,
            PEEPCTL_PASSWORD=ADMINISTRATOR_PASSWORD,
        )

    async def run(self, *arguments: str, given: str = "", **variables: str) -> Done:
        """Run a command; `given` is its standard input."""
        # What the API logs is none of the command's output.
        with capture_logs():
            return await asyncio.to_thread(self.peepctl.run, *arguments, given=given, **variables)

    async def output(self, *arguments: str, given: str = "", **variables: str) -> str:
        """Run a command that has to succeed without complaint, and return what it prints."""
        with capture_logs():
            return await asyncio.to_thread(self.peepctl.output, *arguments, given=given, **variables)
