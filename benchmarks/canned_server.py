"""The floor of the measurements: a server in C that answers from memory, whatever is asked."""

import subprocess
from pathlib import Path
from typing import ClassVar

from maildrops import MESSAGES
from servers import Server

_MEAN_OCTETS = 30_591


class CannedServer(Server):
    """What sockets and load generator cost without a server's work."""

    name: ClassVar[str] = "Floor"

    def start(self) -> None:
        """Start it with maildrops of as many messages as the others have, of about the mean size."""
        command: list[str | Path] = [self.site.programs / "canned", str(MESSAGES), str(_MEAN_OCTETS)]
        process = self.spawn(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as told:
            self.port = int(told.readline())
        self.await_greeting()
