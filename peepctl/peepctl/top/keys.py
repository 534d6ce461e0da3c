"""The keyboard without the Enter key: what is typed arrives at once, and is not shown."""

from __future__ import annotations

import os
import sys
import termios
import tty
from types import TracebackType
from typing import Self

_MAX_OCTETS = 256
_ESCAPE_SEQUENCES = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down"}


class Keyboard:
    """Standard input in cbreak mode, as long as it is entered; Ctrl-C and Ctrl-Z still do what they do."""

    def __init__(self) -> None:
        self.file_descriptor = sys.stdin.fileno()

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self.file_descriptor)
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self.file_descriptor, termios.TCSADRAIN, self._before)

    def resume(self) -> None:
        """Enter the mode again: after a stop the shell has set its own."""
        tty.setcbreak(self.file_descriptor)

    def read(self) -> list[str] | None:
        """Return the keys that were pressed, when there are some; None when the terminal is gone."""
        try:
            octets = os.read(self.file_descriptor, _MAX_OCTETS)
        except OSError:
            return None
        return keys(octets) if octets else None


def keys(octets: bytes) -> list[str]:
    """Return the keys that octets of a terminal stand for: letters as they are, `up` and `down`."""
    found = []
    while octets:
        sequence = next((known for known in _ESCAPE_SEQUENCES if octets.startswith(known)), None)
        if sequence is not None:
            found.append(_ESCAPE_SEQUENCES[sequence])
            octets = octets[len(sequence) :]
        elif octets.startswith(b"\x1b"):
            break  # some other key; its letters are not meant as such
        else:
            found.append(chr(octets[0]))
            octets = octets[1:]
    return found
