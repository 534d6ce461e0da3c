"""Asks whether the gateway on this machine answers; imports nothing that takes long."""

import socket
from collections.abc import Mapping

from line_server.health_check import Verdict, ask_port, report
from line_server.listener import display

DEFAULT_PORT = "2110"

ANSWER_SECONDS = 3.0
"""How long the gateway may take; `cap?` needs neither Redis nor a password."""

_REPLY_OCTETS = 4096


def main() -> int:
    """Print a line about it; return 0 if it answers, else 1."""
    return report("peep-gateway", check)


def check(environment: Mapping[str, str]) -> Verdict:
    """Return whether a gateway with these settings answers `cap?`."""
    return ask_port(environment, "PEEP_", DEFAULT_PORT, _ask)


def _ask(host: str, port: int) -> Verdict:
    with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as client:
        client.sendall(b"cap?\r\nq\r\n")
        reply = client.recv(_REPLY_OCTETS)
    if not reply.startswith(b"+"):
        return False, f"{display((host, port))} does not speak PEEP"
    return True, f"PEEP is served on {display((host, port))}"
