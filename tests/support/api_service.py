"""state-api as a process for tests without an event loop, and what they ask it beside a browser."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx

from support.api_process import ADMINISTRATOR, environment
from support.pop3_process import PASSWORD
from support.redis_kinds import free_port
from support.service_process import kill, start_service

ANSWER_SECONDS = 30


class ApiService:
    """`python -m state_api` on a free loopback port, which it gets again when it is started again."""

    def __init__(
        self,
        redis_url: str,
        folder: Path,
        *,
        periods: Mapping[str, float] | None = None,
        **settings: str,
    ) -> None:
        self.log = folder / "state-api.log"
        self._periods = periods
        self._environment = environment(redis_url, PEEP_DRAIN_SECONDS="0", **settings)
        # While it is down, no outgoing connection may be given its port.
        self._environment["PEEP_HTTP_PORT"] = str(free_port())
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        client = httpx.Client(base_url=self.url, auth=ADMINISTRATOR, timeout=ANSWER_SECONDS)
        self.client = self._stack.enter_context(client)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start the process and return when it serves."""
        self._process, served = start_service(
            "state_api", self._environment, self.log, self._stack, periods=self._periods
        )
        self.url = served["HTTP"]

    def kill(self) -> None:
        """End the process as a crash would, if it still runs."""
        kill(self._process)

    def add_user(self, name: str) -> None:
        """Add a POP3 user whose password is `PASSWORD`."""
        self.client.post("/v1/users", json={"username": name, "password": PASSWORD}).raise_for_status()

    def change_settings(self, **settings: int | str) -> None:
        """Change settings, as somebody else does beside the page."""
        self.client.patch("/v1/settings?confirm=true", json=settings).raise_for_status()

    def settings(self) -> dict[str, int | str]:
        """Return the settings in force."""
        answer: dict[str, int | str] = self.client.get("/v1/settings").raise_for_status().json()
        return answer
