"""The log of a process that ends, whichever way: the last sessions are in it."""

import json
import subprocess
import sys

import pytest

# The session ends in the very turn of the event loop that is the last one.
PROGRAM = """
import asyncio, signal, sys
from service_runtime.errors import StartError
from service_runtime.frequent_event import FrequentEvent
from service_runtime.process import run
from service_runtime.settings import CommonSettings

ending = sys.argv.pop()

async def serve(settings, lifecycle):
    for number in range(100):
        FrequentEvent("session ended").info(session=str(number), octets=7)
    if ending == "start error":
        raise StartError("the store is unusable")
    if ending == "bug":
        raise ValueError("a bug")

sys.exit(run("pop3-service", "", CommonSettings, serve))
"""


@pytest.mark.parametrize(("ending", "code"), [("usual", 0), ("start error", 1), ("bug", 1)])
def test_sessions_of_the_last_turn_are_logged(ending: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ending],
        env={"PEEP_REDIS_URL": "redis://127.0.0.1:1", "PEEP_LOG_FORMAT": "json"},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    ended = [event["session"] for event in events if event["event"] == "session ended"]
    assert ended == [str(number) for number in range(100)]
    assert (events[-1]["event"] == "stopped") == (ending == "usual")
