#!/usr/bin/env python3
"""Measure the CPU time that the whole server spends on a POP3 session, Redis included.

    cpu_per_session.py [--mode check] [--rounds 3] [--seconds 5] [--connections 16]

One POP3 worker and an embedded Valkey share core 0, the load generator has core 1. Linux, with a C compiler.
The first login of a user costs an argon2id check, so a warm-up that logs everybody in is not counted.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import make_maildirs
from peepctl.embedded import EmbeddedServer
from state_store.passwords import Passwords
from state_store.redis_repository import RedisRepository

USERS = 400
PASSWORD = "secret"  # noqa: S105 - what popbench sends
HERE = Path(__file__).parent


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Measure the server's CPU time a POP3 session.")
    parser.add_argument("--mode", default="check", choices=("check", "fetch", "auth"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="peep-bench-") as folder:
        popbench = Path(folder) / "popbench"
        subprocess.run(["cc", "-O2", "-o", popbench, HERE / "popbench.c"], check=True)
        mail = Path(folder) / "mail"
        make_maildirs.fill(str(mail), USERS, 20, 1)
        os.sched_setaffinity(0, {0})
        server = EmbeddedServer(Path(folder) / "data")
        server.start()
        try:
            asyncio.run(add_users(server.url))
            measure(popbench, server, mail, given)
        finally:
            server.stop()


async def add_users(url: str) -> None:
    """Give every user the same password, and the same hash: making 400 would take a while."""
    repository = RedisRepository(url)
    passwords = Passwords()
    credential = await passwords.new_credential(PASSWORD)
    for index in range(USERS):
        await repository.add_user(f"u{index:04d}", credential)
    passwords.close()
    await repository.close()


def measure(popbench: Path, server: EmbeddedServer, mail: Path, given: argparse.Namespace) -> None:
    """Start the service, warm it up, and print a line a round."""
    ready_read, ready_write = os.pipe()
    environment = {
        **os.environ,
        "PEEP_REDIS_URL": server.url,
        "PEEP_MAIL_DIR": str(mail),
        "PEEP_POP3_WORKERS": "1",
        "PEEP_POP3_PORT": "0",
        "PEEP_DRAIN_SECONDS": "0",
        "PEEP_READY_FD": str(ready_write),
    }
    with (
        open(os.devnull, "w") as nowhere,
        subprocess.Popen(
            [sys.executable, "-m", "pop3_service"], env=environment, pass_fds=[ready_write], stderr=nowhere
        ) as service,
    ):
        os.close(ready_write)
        with open(ready_read) as ready:
            port = ready.readline().rpartition(":")[2].strip()
        try:
            load: list[str | Path] = [popbench, "-p", port, "-u", str(USERS), "-c", str(given.connections)]
            for _ in range(3):
                run([*load, "-m", "check", "-s", "6"])
            for _ in range(given.rounds):
                before = cpu_microseconds()
                figures = run([*load, "-m", given.mode, "-s", str(given.seconds)])
                each = (cpu_microseconds() - before) / int(figures["sessions"])
                print(f"{given.mode}: {each:.0f} us CPU a session, {figures['sessions_per_s']} sessions/s")
        finally:
            service.terminate()


def run(command: list[str | Path]) -> dict[str, str]:
    """Run the load generator on core 1; return the figures that it prints."""
    done = subprocess.run(["taskset", "-c", "1", *command], check=True, capture_output=True, text=True)
    return dict(word.split("=", 1) for word in done.stdout.split())


def cpu_microseconds() -> float:
    """Return the CPU time of all our running children: the service and Valkey."""
    ticks = 0
    for children in Path("/proc/self/task").glob("*/children"):
        for process in children.read_text().split():
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
