"""The loads of `administration.py`: peepbench and wrk on a core of their own, and clients that never read."""

import base64
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from administration_figures import Rate
from administration_servers import ADMINISTRATOR, LOAD_CORE, PASSWORD, Servers

HERE = Path(__file__).parent

_WRK_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def compiled(folder: Path) -> Path:
    """Return the load generator, compiled into `folder`."""
    program = folder / "peepbench"
    subprocess.run(["cc", "-O2", "-o", program, HERE / "peepbench.c"], check=True)
    return program


class Load:
    """Runs the PEEP load generator against a gateway, on a core of its own."""

    def __init__(self, peepbench: Path) -> None:
        self._peepbench = peepbench
        self._runs = 0

    def run(self, servers: Servers, *options: str) -> dict[str, float]:
        """Return the figures that it prints. Raises `CalledProcessError` if a command fails."""
        self._runs += 1
        where = ["-p", str(servers.port), "-a", ADMINISTRATOR, "-w", PASSWORD, "-u", f"added{self._runs}-"]
        return _figures(str(self._peepbench), *where, *options)


def _figures(*command: str) -> dict[str, float]:
    pairs = (word.split("=", 1) for word in _on_load_core(*command).split())
    return {name: float(value) for name, value in pairs}


def _on_load_core(*command: str) -> str:
    pinned = ["taskset", "-c", str(LOAD_CORE), *command]
    return subprocess.run(pinned, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def silent_sessions(servers: Servers, count: int) -> Iterator[None]:
    """Open sessions that pipeline `u?` and read nothing."""
    clients = [socket.create_connection(("127.0.0.1", servers.port)) for _ in range(count)]
    try:
        for client in clients:
            client.sendall(f"a {ADMINISTRATOR} {PASSWORD}\r\n".encode())
            assert client.recv(3) == b"+\r\n"
            client.sendall(b"u?\r\n" * 64)
        yield
    finally:
        for client in clients:
            client.close()


def http_rate(servers: Servers, path: str, connections: int, seconds: float) -> Rate:
    """Return the figures of wrk for a path, requested as the administrator."""
    token = base64.b64encode(f"{ADMINISTRATOR}:{PASSWORD}".encode()).decode()
    wrk = ["wrk", "--latency", "-t", "1", "-c", str(connections), "-H", f"Authorization: Basic {token}"]
    address = f"http://127.0.0.1:{servers.port}{path}"
    _on_load_core(*wrk, "-d", "1", address)
    before = servers.cpu_seconds()
    report = _on_load_core(*wrk, "-d", str(round(seconds) or 1), address)
    return _http_rate(f"GET {path}", connections, report, servers.cpu_seconds() - before)


def _http_rate(request: str, connections: int, report: str, cpu_seconds: float) -> Rate:
    assert "Non-2xx" not in report, report
    assert "Socket errors" not in report, report
    requests = int(_found(r"(\d+) requests in", report))
    return Rate(
        request,
        connections,
        1,
        float(_found(r"Requests/sec:\s+([\d.]+)", report)),
        requests / cpu_seconds,
        _milliseconds(_found(r"50%\s+(\S+)", report)),
        _milliseconds(_found(r"99%\s+(\S+)", report)),
    )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(\D+)", text)
    assert match is not None, text
    return float(match[1]) * _WRK_UNITS[match[2]]
