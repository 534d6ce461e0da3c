"""state-api as a process for tests without an event loop, and what they ask it beside a browser."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from support.api_process import ADMINISTRATOR, environment
from support.pop3_process import PASSWORD

ANSWER_SECONDS = 20


class ApiService:
    """`python -m state_api` on a free loopback port, which it gets again when it is started again."""

    def __init__(self, redis_url: str, folder: Path, **settings: str) -> None:
        self.log = folder / "state-api.log"
        self._environment = environment(redis_url, PEEP_DRAIN_SECONDS="0", **settings)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        self._stack.callback(self.kill)
        client = httpx.Client(base_url=self.url, auth=ADMINISTRATOR, timeout=ANSWER_SECONDS)
        self.client = self._stack.enter_context(client)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start the process and return when it serves."""
        ready_read, ready_write = os.pipe()
        parent_read, parent_write = os.pipe()
        # The process ends with this pipe's other end, so also when the tests are killed.
        self._stack.callback(os.close, parent_write)
        inherited = {"PEEP_READY_FD": str(ready_write), "PEEP_PARENT_FD": str(parent_read)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "state_api"],
                env={**self._environment, **inherited},
                stdout=log,
                stderr=log,
                pass_fds=(ready_write, parent_read),
            )
        os.close(ready_write)
        os.close(parent_read)
        with os.fdopen(ready_read) as pipe:
            address, *_, last = pipe.read().splitlines() or ["", ""]
        assert last == "ready", self.log.read_text()
        self.url = address.removeprefix("HTTP ")
        self._environment["PEEP_HTTP_PORT"] = self.url.rpartition(":")[2]

    def kill(self) -> None:
        """End the process as a crash would, if it still runs."""
        self._process.kill()
        self._process.wait()

    def add_user(self, name: str) -> None:
        """Add a POP3 user whose password is `PASSWORD`."""
        self.client.post("/v1/users", json={"username": name, "password": PASSWORD}).raise_for_status()

    def change_settings(self, **settings: int | str) -> None:
        """Change settings, as somebody else does beside the page."""
        self.client.patch("/v1/settings", json=settings).raise_for_status()

    def settings(self) -> dict[str, int | str]:
        """Return the settings in force."""
        answer: dict[str, int | str] = self.client.get("/v1/settings").raise_for_status().json()
        return answer
