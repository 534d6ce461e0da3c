"""Measures how this process is: by how much its event loop is late, and what the mail's disk says (D99)."""

import asyncio
import os
from typing import NamedTuple

from pop3_service.disk import DiskThreads, Work

TICK_SECONDS = 0.25
"""The event loop's lateness is measured so often."""


class LoopLag:
    """By how many seconds the event loop was late at the most."""

    def __init__(self) -> None:
        self._largest = 0.0

    async def run(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._largest = max(self._largest, loop.time() - due)

    def take(self) -> float:
        """Return the largest since the last call."""
        largest, self._largest = self._largest, 0.0
        return largest


class Room(NamedTuple):
    """What a file system has, and what of it is free for others than root; in octets and inodes."""

    octets: int = 0
    free: int = 0
    inodes: int = 0
    free_inodes: int = 0


class DiskLook:
    """Looks at the mail directory in a thread: one look at a time, also while the disk hangs."""

    def __init__(self, disk: DiskThreads) -> None:
        self._disk = disk
        self._work: Work[Room] | None = None
        self._began = 0.0
        self.room = Room()
        self.fault = ""
        self._seconds = 0.0

    def begin(self, directory: str) -> None:
        """Look at it, unless the last look has not come back yet."""
        if self._work is not None:
            return
        self._began = asyncio.get_running_loop().time()
        self._work = self._disk.begin("look", _look, directory)
        self._work.answer.add_done_callback(self._done)

    @property
    def seconds(self) -> float:
        """How long the last look took; one that lasts longer counts with what it has taken so far."""
        if self._work is None:
            return self._seconds
        return max(self._seconds, asyncio.get_running_loop().time() - self._began)

    def _done(self, answer: "asyncio.Future[Room]") -> None:
        self._work = None
        self._seconds = asyncio.get_running_loop().time() - self._began
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            self.room, self.fault = answer.result(), ""
        else:
            self.room, self.fault = Room(), getattr(error, "strerror", None) or type(error).__name__


def _look(directory: str) -> Room:
    # A file server answers `statvfs` from memory: read the folder as well.
    with os.scandir(directory) as entries:
        next(entries, None)
    about = os.statvfs(directory)
    return Room(
        about.f_blocks * about.f_frsize, about.f_bavail * about.f_frsize, about.f_files, about.f_favail
    )
