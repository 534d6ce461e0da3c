"""A service's log, configured in this process, in a file that remembers its writes."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from service_runtime import logs
from service_runtime.frequent_event import FrequentEvent


class Writes(io.StringIO):
    """A text file that remembers its writes one by one; a broken one takes none."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.is_broken = False

    def write(self, text: str) -> int:
        if self.is_broken:
            raise BrokenPipeError
        self.pieces.append(text)
        return len(text)

    def lines(self) -> list[str]:
        return "".join(self.pieces).splitlines()


@contextmanager
def logging_as_a_service(log_format: str = "json", level: str = "info") -> Iterator[Writes]:
    """Log as the second process of the POP3 service does; give what is written."""
    standard_error, sys.stderr = sys.stderr, Writes()
    try:
        logs.configure("pop3-service", log_format, level, worker="2")
        yield sys.stderr
    finally:
        sys.stderr = standard_error
        structlog.reset_defaults()
        FrequentEvent.json_log = None
