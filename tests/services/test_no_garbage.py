"""Sessions leave nothing that only the garbage collector could find: it stops everybody while it looks."""

import collections
import os
from pathlib import Path
from typing import Any

from support.certificates import Authority
from support.pop3_process import HOST_NAME, Pop3Process, wait_until

WATCH = """
import gc, os, threading

def watch():
    while True:
        with open(os.environ["GARBAGE_QUESTION"]) as question:
            question.read()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        with open(os.environ["GARBAGE_ANSWER"], "w") as answer:
            for thing in gc.garbage:
                print(type(thing).__module__, type(thing).__qualname__, file=answer)
        gc.garbage.clear()
        gc.set_debug(0)
        gc.collect()

gc.disable()
threading.Thread(target=watch, daemon=True).start()
"""

LARGE = b"Subject: large\n\n" + b"x" * 70 + b"\n" * 300_000


def garbage_of(service_folder: Path) -> collections.Counter[str]:
    """Return what the garbage collector has found in the service since the last time, by type."""
    (service_folder / "question").write_text("what is there?")
    return collections.Counter((service_folder / "answer").read_text().splitlines())


def have_sessions(service: Pop3Process, authority: Authority, user: str) -> None:
    """Have a session of each kind, and end each in another way."""
    service.deliver(user, b"Subject: soon gone\n\n")
    with service.log_in(user) as client:
        client.ask_lines("UIDL")
        client.ask_lines("RETR 2")
        assert client.ask("DELE 3").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    with service.connect(tls=authority.client_context()) as client:
        assert client.log_in(user).quit().startswith(b"+OK")
    with service.connect() as client:
        client.ask(f"USER {user}")
        assert client.ask("PASS wrong").startswith(b"-ERR [AUTH]")
    with service.log_in(user) as client:
        client.send(b"RETR 2\r\n")
        client.reset()
    wait_until(lambda: not service.counters().current_connections, "all sessions have ended")


def test_sessions_leave_no_garbage_however_they_end(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    authority = Authority()
    certificate, key = authority.issue(tmp_path, HOST_NAME)
    settings: dict[str, Any] = {
        "PYTHONPATH": str(tmp_path),
        "PEEP_TLS_CERT_FILE": str(certificate),
        "PEEP_TLS_KEY_FILE": str(key),
    }
    for name in ("question", "answer"):
        os.mkfifo(tmp_path / name)
        settings[f"GARBAGE_{name.upper()}"] = str(tmp_path / name)
    with Pop3Process(redis_url, tmp_path, **settings) as service:
        user = service.add_user(b"Subject: short\n\nHello\n", LARGE)
        have_sessions(service, authority, user)
        garbage_of(tmp_path)  # scripts that this Redis did not know yet: once in its life
        have_sessions(service, authority, user)
        assert garbage_of(tmp_path) == {}
