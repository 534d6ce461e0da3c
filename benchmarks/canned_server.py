"""The lower bound: a server in C that sends canned replies from memory."""

import subprocess
from pathlib import Path
from typing import ClassVar

from maildrops import MESSAGES, Mail
from servers import Server

_MEAN_OCTETS = 30_591


class CannedServer(Server):
    """The cost of sockets and load generator alone."""

    name: ClassVar[str] = "Floor"

    def start(self) -> None:
        """Start it with as many messages as the others have, all of about their mean size."""
        command: list[str | Path] = [self.site.programs / "canned", str(MESSAGES), str(_MEAN_OCTETS)]
        process = self.spawn(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as output:
            self.port = int(output.readline())
        self.await_greeting()

    def refill(self, pristine: Mail, users: int) -> None:
        """Do nothing: it has no mail."""

    def left_over(self, users: int) -> int:
        """Return 0: it removes nothing."""
        return 0
