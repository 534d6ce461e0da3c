"""`peepctl` in this process, or as a program in a terminal, with nothing of this machine's settings."""

import io
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from unittest import mock

import pexpect

from peepctl.__main__ import main

RUN_SECONDS = 40

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Done:
    """The exit code of a command, and what it wrote."""

    code: int
    stdout: str
    stderr: str


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

    def run(self, *arguments: str, given: str = "", **variables: str) -> Done:
        """Run a command without a terminal, in this process; `given` is its standard input."""
        code, output, errors = 0, io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {**self.environment, **variables}, clear=True),
            mock.patch("sys.argv", ["peepctl", *arguments]),
            mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8")),
            redirect_stdout(output),
            redirect_stderr(errors),
            chdir(self.home),
        ):
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Done(code, output.getvalue(), errors.getvalue())

    def output(self, *arguments: str, given: str = "", **variables: str) -> str:
        """Run a command that has to succeed without complaint, and return what it prints."""
        done = self.run(*arguments, given=given, **variables)
        assert (done.code, done.stderr) == (0, ""), done
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
            preexec_fn=_in_the_foreground,
        )


def _in_the_foreground() -> None:
    """Take SIGINT like a program that a shell waits for: tests run in the background inherit it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
