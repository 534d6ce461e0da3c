"""`peepctl` as a program: run to its end, or in a terminal, with nothing of this machine's settings."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pexpect

RUN_SECONDS = 40

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Peepctl:
    """Runs `peepctl` with a home of its own and the variables given here."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "PEEP_DATA_DIR": str(home / "data"),
            **variables,
        }

    def run(self, *arguments: str, given: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command without a terminal; `given` is its standard input."""
        return subprocess.run(
            (sys.executable, "-m", "peepctl", *arguments),
            cwd=self.home,
            env={**self.environment, **variables},
            input=given,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def output(self, *arguments: str, given: str = "", **variables: str) -> str:
        """Run a command that has to succeed without complaint, and return what it prints."""
        done = self.run(*arguments, given=given, **variables)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def terminal(
        self, *arguments: str, size: tuple[int, int] = (24, 80), variables: Mapping[str, str] = NO_VARIABLES
    ) -> "pexpect.spawn[str]":
        """Start a command in a terminal of `size`, lines by columns."""
        return pexpect.spawn(
            sys.executable,
            ["-m", "peepctl", *arguments],
            cwd=str(self.home),
            # Nobody answers the question where the cursor is.
            env={**self.environment, "PROMPT_TOOLKIT_NO_CPR": "1", **variables},
            encoding="utf-8",
            dimensions=size,
            timeout=RUN_SECONDS,
        )


def before(terminal: "pexpect.spawn[str]") -> str:
    """Return what a terminal has shown before that which was expected."""
    assert terminal.before is not None
    return terminal.before


def ended(terminal: "pexpect.spawn[str]") -> int:
    """Wait for a program's end in a terminal and return its exit code."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus is not None, f"ended by signal {terminal.signalstatus}"
    return int(terminal.exitstatus)
