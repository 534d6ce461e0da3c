"""A server whose wall clock a test sets, while real time goes on."""

import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.pop3_process import wait_until
from support.redis_server import RedisServer

_SOURCE = Path(__file__).with_name("shifted_clock.c")


class ShiftedClock:
    """A server's wall clock: by how many seconds it differs from ours stands in a file that it has mapped."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock"
        self._path.write_bytes(struct.pack("l", 0))
        library = folder / "shifted_clock.so"
        compilation = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(compilation, check=True, timeout=60)
        self.server = RedisServer({"LD_PRELOAD": str(library), "PEEP_TEST_CLOCK": str(self._path)})
        self._seconds = 0

    def step(self, seconds: int) -> None:
        """Set the clock forwards, or back; return once the server goes by it."""
        self._seconds += seconds
        with self._path.open("r+b") as file:
            file.write(struct.pack("l", self._seconds))
        with self.server.client() as client:
            # The server asks for the time anew after a millisecond.
            wait_until(lambda: abs(client.time()[0] - time.time() - self._seconds) < 2, "the clock is set")


@contextmanager
def server_with_a_clock(folder: Path) -> Iterator[ShiftedClock]:
    """Run a server with a clock of its own."""
    clock = ShiftedClock(folder)
    with clock.server:
        yield clock
