"""Fifty mail programs that fetch all the time, on the host itself, until standard input ends.

They print a line once each of them has had a session, and at the end, in JSON, what they saw.
"""

import json
import poplib
import ssl
import sys
import threading
import time

HOST, DOMAIN, PASSWORD, CLIENTS = [*sys.argv[1:4], int(sys.argv[4])]
PAUSE_SECONDS = 0.2
SESSION_SECONDS = 90

context = ssl.create_default_context()
start = time.monotonic()
is_over = threading.Event()
have_begun = threading.Barrier(CLIENTS + 1)
sessions: list[float] = []
faults: list[str] = []


def fetch(username: str) -> None:
    server = poplib.POP3_SSL(HOST, timeout=SESSION_SECONDS, context=context)
    server.user(username)
    server.pass_(PASSWORD)
    server.stat()
    server.quit()


def keep_fetching(username: str) -> None:
    is_first = True
    begun = time.monotonic()
    while not is_over.wait(PAUSE_SECONDS):
        try:
            fetch(username)
        except (OSError, EOFError, poplib.error_proto) as error:
            if "[IN-USE]" in str(error):  # his own last session, on a busy machine; he tries again
                continue
            faults.append(f"{username}, {time.monotonic() - start:.1f} s after the start: {error!r}")
        sessions.append(time.monotonic() - begun)
        if is_first:
            have_begun.wait()
            is_first = False
        begun = time.monotonic()


threads = [threading.Thread(target=keep_fetching, args=(f"user{n}@{DOMAIN}",)) for n in range(CLIENTS)]
for thread in threads:
    thread.start()
have_begun.wait()
print("fetching", flush=True)
sys.stdin.read()
is_over.set()
for thread in threads:
    thread.join()
print(json.dumps({"sessions": len(sessions), "longest": max(sessions), "faults": faults}))
