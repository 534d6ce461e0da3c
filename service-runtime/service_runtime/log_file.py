"""The file that a process's log goes to: lines of one turn of the event loop are written together."""

import asyncio
import select
import threading
from collections.abc import Iterator
from typing import TextIO


class LogFile:
    """Writes lines to a text file in the order in which they were given.

    `write` and `flush` are for structlog: an event that goes through it is written at once, and what waits is
    written before it.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: list[str] = []
        self._lock = threading.RLock()  # threads log too
        self._due_in: asyncio.AbstractEventLoop | None = None

    def write(self, lines: str) -> None:
        """Keep whole lines for the next `flush`."""
        with self._lock:
            self._waiting.append(lines)

    def write_soon(self, line: str) -> None:
        """Write a line together with others of this turn of the event loop; at once where no loop runs."""
        self.write(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._due_in is not loop:
            self._due_in = loop
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits. Raises `OSError`; then it is lost: a broken pipe must not fill our memory."""
        self._due_in = None
        with self._lock:
            waiting, self._waiting = self._waiting, []
            # The kernel never mixes a write of so many octets to a pipe with those of other processes.
            for piece in _pieces(waiting, select.PIPE_BUF):
                self._file.write(piece)
                self._file.flush()


def _pieces(lines: list[str], most: int) -> Iterator[str]:
    """Join lines into pieces of at most so many characters; a longer line is a piece of its own."""
    piece = ""
    for line in lines:
        if piece and len(piece) + len(line) > most:
            yield piece
            piece = ""
        piece += line
    if piece:
        yield piece
