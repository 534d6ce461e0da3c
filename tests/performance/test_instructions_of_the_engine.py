"""The engine's cost in instructions: the same number on a busy machine as on an idle one.

callgrind counts them. The interpreter's build matters as much as our code does, so what is held to a limit
is the ratio to plain Python in the same interpreter.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.clients import require

LOAD = Path(__file__).with_name("engine_load.py")
TIMES = 300

LARGEST_RATIO = 8.75
"""A session of 25 commands, in yardsticks of 20 calls. Measured with Debian's CPython 3.11:
8.5; 12.8 before numbered and bare commands were looked up whole, 9.2 before that led to their function."""


def instructions(what: str, times: int) -> int:
    """Return the instructions of a process that does `what` so many times, its start included."""
    require("valgrind")
    counting = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run(
        [*counting, sys.executable, LOAD, what, str(times)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def instructions_each(what: str) -> float:
    """Return the instructions of doing `what` once more, without the process's start."""
    return (instructions(what, 2 * TIMES) - instructions(what, TIMES)) / TIMES


@pytest.mark.timeout(900)
def test_a_session_takes_no_more_instructions_than_it_should() -> None:
    session, yardstick = instructions_each("sessions"), instructions_each("yardstick")
    print(
        f"{session:.0f} instructions a session, {yardstick:.0f} a yardstick: ratio {session / yardstick:.2f}"
    )
    assert session / yardstick < LARGEST_RATIO
