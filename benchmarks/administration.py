#!/usr/bin/env python3
"""Measure administration: PEEP commands and HTTP requests per second, their latency and CPU time.

    administration.py [--quick] [--json FILE]

The gateway (or state-api) and an embedded Valkey share core 0, the load generator has core 1. Linux, with a C
compiler and, for the HTTP part, wrk. CPU time is that of the front end and Valkey together: what "a second a
core" says is commands divided by it. `u+` makes an argon2id hash and a SCRAM verifier, which is most of it.
"""

import argparse
import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from administration_figures import Administration, Listing, Rate
from administration_load import Load, compiled, http_rate, silent_sessions
from administration_servers import Servers, add_users, forget_peak, memory_octets, serving

USERS = 100_000
QUICK_USERS = 10_000
CONNECTIONS = (1, 64)
DEPTHS = {"cc?": (1, 16), "u+": (1, 4)}
"""Commands in flight per connection: it waits for each reply, or pipelines. `u+` costs 25 ms."""

SILENT_SESSIONS = 20
"""Sessions that request all users and read nothing, each with a full pipeline."""

IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - a folder of our own in it
"""The folder of Valkey's append-only file: on a busy disk, the disk would be measured."""


def measure(*, seconds: float = 5.0, users: int = USERS, peepbench: Path | None = None) -> Administration:
    """Return the figures of one run, `seconds` for each; HTTP is left out without wrk.

    Raises `subprocess.CalledProcessError` when any answer was wrong.
    """
    with tempfile.TemporaryDirectory(prefix="peep-bench-", dir=IN_MEMORY) as name:
        folder = Path(name)
        load = Load(peepbench or compiled(folder))
        with serving("peep_gateway", folder / "peep") as servers:
            rates = [*_peep_rates(load, servers, seconds)]
            listing = _listing(load, servers, users)
        if shutil.which("wrk"):
            with serving("state_api", folder / "http") as servers:
                rates += _http_rates(servers, seconds)
    return Administration(rates, listing)


def _peep_rates(load: Load, servers: Servers, seconds: float) -> Iterator[Rate]:
    load.run(servers, "-m", "cc?", "-s", "1")
    for command, depths in DEPTHS.items():
        for connections in CONNECTIONS:
            for depth in depths:
                options = ["-m", command, "-c", str(connections), "-d", str(depth), "-s", str(seconds)]
                before = servers.cpu_seconds()
                figures = load.run(servers, *options)
                each = (servers.cpu_seconds() - before) / figures["commands"]
                yield Rate(
                    command,
                    connections,
                    depth,
                    figures["commands_per_s"],
                    1 / each,
                    figures["p50_us"] / 1000,
                    figures["p99_us"] / 1000,
                )


def _listing(load: Load, servers: Servers, users: int) -> Listing:
    known = int(load.run(servers, "-m", "u?", "-n", "1")["lines"])
    asyncio.run(add_users(servers.url, users - known))
    asked = ["-m", "u?", "-n", "1", "-e", str(users), "-k", "-s", "30"]
    forget_peak(servers.front_end)
    memory_before = memory_octets(servers.front_end)
    load.run(servers, *asked)
    before = servers.cpu_seconds()
    figures = load.run(servers, *asked)
    cpu_seconds = servers.cpu_seconds() - before
    peak = memory_octets(servers.front_end, "VmHWM")
    return Listing(
        users,
        int(figures["octets"]),
        figures["max_us"] / 1e6,
        cpu_seconds,
        max(0, peak - memory_before),
        figures["probe_max_us"] / 1000,
        _silent_growth(load, servers),
    )


def _silent_growth(load: Load, servers: Servers) -> int:
    before = memory_octets(servers.front_end)
    with silent_sessions(servers, SILENT_SESSIONS):
        load.run(servers, "-m", "cc?", "-s", "3")
        return max(0, memory_octets(servers.front_end) - before) // SILENT_SESSIONS


def _http_rates(servers: Servers, seconds: float) -> Iterator[Rate]:
    for path in ("/v1/counters", "/metrics"):
        for connections in CONNECTIONS:
            yield http_rate(servers, path, connections, seconds)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Measure PEEP and HTTP: requests a second, p99, CPU time.")
    parser.add_argument("--quick", action="store_true", help="a second for each figure, and fewer users")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    given = parser.parse_args()
    figures = measure(seconds=1.0, users=QUICK_USERS) if given.quick else measure()
    print(figures.markdown())
    if given.json:
        given.json.write_text(json.dumps(asdict(figures), indent=2) + "\n")


if __name__ == "__main__":
    main()
