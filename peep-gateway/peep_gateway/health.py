"""Asks whether the gateway on this machine answers; imports nothing that takes long."""

import socket
from collections.abc import Mapping

from line_server.health_check import DEFAULT_HOST as DEFAULT_HOST
from line_server.health_check import AddressUnknown, own_address, report
from line_server.listener import display

DEFAULT_PORT = "2110"

ANSWER_SECONDS = 3.0
"""How long the gateway may take; `cap?` needs neither Redis nor a password."""

_REPLY_OCTETS = 4096


def main() -> int:
    """Print a line about it; return 0 if it answers, else 1."""
    return report("peep-gateway", check)


def check(environment: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether a gateway with these settings answers `cap?`, and one line that says so."""
    try:
        address = own_address(environment, "PEEP_", DEFAULT_PORT, listener="gateway")
    except AddressUnknown as error:
        return False, str(error)
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
