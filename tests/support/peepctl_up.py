"""A running `peepctl up`, which is behind `make up`, on free ports."""

from __future__ import annotations

import os
import poplib
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peepctl.up.directory_lock import LOCK_FILE, DirectoryLock

PROGRAM = (sys.executable, "-m", "peepctl")
FREE_PORTS = {"PEEP_POP3_PORT": "0", "PEEP_PORT": "0", "PEEP_HTTP_PORT": "0"}
SMALL = {"PEEP_POP3_WORKERS": "1", "PEEP_DRAIN_SECONDS": "0.2"}


class Up:
    """One with its data below a folder; its services hold its output too, its server that folder's lock."""

    def __init__(
        self,
        directory: Path,
        settings: dict[str, str],
        program: Sequence[str | Path] = PROGRAM,
        **started_with: Any,
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}
        self.errors = directory / "errors"
        self.data = Path(settings.get("PEEP_DATA_DIR", directory / "data"))
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                (*program, "up"),
                env={**inherited, "PEEP_DATA_DIR": str(self.data)} | SMALL | FREE_PORTS | settings,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                **started_with,
            )
        self.lines: dict[str, str] = {}
        self._clients: list[poplib.POP3] = []

    def until(self, part: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, text = line.rstrip("\n").partition(" ")
            self.lines[name] = text.strip()
            if name == part:
                return self.lines[name]
        raise AssertionError(f"no line for {part}: {self.lines}, {self.errors.read_text()}")

    def ready(self) -> Up:
        self.until("ready")
        return self

    def pop3(self) -> poplib.POP3:
        host, _, port = self.lines["pop3"].rpartition(":")
        self._clients.append(poplib.POP3(host, int(port), timeout=30))
        return self._clients[-1]

    def log_in(self) -> poplib.POP3:
        client = self.pop3()
        client.user("demo")
        client.pass_("demo")
        return client

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait until every process is gone; return the exit code and the rest of the output."""
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        code = self.process.wait()
        held = self.data / LOCK_FILE
        if held.is_file() and held.read_text().strip() == str(self.process.pid):
            lock = DirectoryLock(self.data)  # the embedded server has it too, to its end
            lock.acquire()
            lock.release()
        return code, rest

    def stop(self) -> tuple[int, str]:
        self.send(signal.SIGTERM)
        return self.end()

    def clean_up(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        for client in self._clients:
            client.close()
