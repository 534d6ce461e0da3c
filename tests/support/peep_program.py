"""Our programs as processes, by what they log: POP3, PEEP and HTTP, and an administrator's session."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from support.forked_program import ForkedProgram
from support.pop3_process import wait_until

SECONDS = 30
ADMINISTRATOR, PASSWORD = "bob", "sesame"
READY = {
    "pop3_service": r'"pop3": "127\.0\.0\.1:(\d+)".*"event": "ready"',
    "peep_gateway": r'"peep": "127\.0\.0\.1:(\d+)".*"event": "ready"',
    "state_api": r'"http": "http://127\.0\.0\.1:(\d+)".*"event": "ready"',
}
"""The programs, each with what it logs once it serves: its port is in there."""


def environment(redis_url: str, mail: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a program that serves on free ports."""
    given = {variable: value for variable, value in os.environ.items() if not variable.startswith("PEEP_")}
    given |= {"PEEP_REDIS_URL": redis_url, "PEEP_LOG_FORMAT": "json", "PEEP_DRAIN_SECONDS": "0"}
    given |= {"PEEP_PORT": "0", "PEEP_HTTP_PORT": "0", "PEEP_POP3_PORT": "0"}
    given |= {"PEEP_ADMINS": f"{ADMINISTRATOR}:{PASSWORD}", "PEEP_MAIL_DIR": str(mail)}
    return given | settings


@contextmanager
def program(name: str, log: Path, redis_url: str, **settings: str) -> Iterator[ForkedProgram]:
    """Run one of our programs, ready or not, with its output and its log in one file; end it as asked."""
    given = environment(redis_url, log.parent, **settings)
    with log.open("wb") as file:
        process = ForkedProgram(name, given, file.fileno(), file.fileno(), {})
    try:
        yield process
    finally:
        process.terminate()
        process.wait(SECONDS)


def has_logged(log: Path, pattern: str) -> bool:
    return re.search(pattern, log.read_text()) is not None


def port_of(name: str, log: Path) -> int:
    wait_until(lambda: has_logged(log, READY[name]), f"{name} is ready")
    match = re.search(READY[name], log.read_text())
    assert match is not None
    return int(match[1])


class PeepSession:
    """An administrator's session that stays open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        reply = self.ask(f"a {ADMINISTRATOR} {PASSWORD}")
        if reply != b"+\r\n":
            self.__exit__()
        assert reply == b"+\r\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, command: str) -> bytes:
        self._socket.sendall(command.encode() + b"\r\n")
        return self._file.readline()
