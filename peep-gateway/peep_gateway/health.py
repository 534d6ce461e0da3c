"""Asks whether the gateway on this machine answers; imports nothing that takes long."""

import os
import socket
from collections.abc import Mapping

from line_server.listener import display

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", "2110"

ANSWER_SECONDS = 3.0
"""How long the gateway may take; `cap?` needs neither Redis nor a password."""

_REPLY_OCTETS = 4096

_SAME_MACHINE = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def main() -> int:
    """Print a line about it; return 0 if it answers, else 1."""
    is_healthy, line = check(os.environ)
    print(f"peep-gateway: {line}")
    return 0 if is_healthy else 1


def check(environment: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether a gateway with these settings answers `cap?`, and one line that says so."""
    host, port = environment.get("PEEP_HOST") or DEFAULT_HOST, environment.get("PEEP_PORT") or DEFAULT_PORT
    if not port.isdecimal() or int(port) > 65535:
        return False, f"PEEP_PORT={port}: must be the number of a port"
    if int(port) == 0:
        return False, "PEEP_PORT=0: the gateway picked a port that only its log knows"
    address = (_SAME_MACHINE.get(host, host), int(port))
    try:
        reply = _ask(address)
    except OSError as error:
        return False, f"no answer from {display(address)}: {error.strerror or error}"
    if not reply.startswith(b"+"):
        return False, f"{display(address)} does not speak PEEP"
    return True, f"PEEP is served on {display(address)}"


def _ask(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address, timeout=ANSWER_SECONDS) as client:
        client.sendall(b"cap?\r\nq\r\n")
        return client.recv(_REPLY_OCTETS)
