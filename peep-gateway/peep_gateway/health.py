"""Whether the gateway on this machine answers: what `python -m peep_gateway health` asks."""

import socket

from line_server.listener import display
from service_runtime.settings import GatewaySettings

ANSWER_SECONDS = 3.0
"""How long the gateway may take; `cap?` needs neither Redis nor a password."""

_REPLY_OCTETS = 4096

_SAME_MACHINE = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def check(settings: GatewaySettings) -> tuple[bool, str]:
    """Return whether a gateway with these settings answers `cap?`, and one line that says so."""
    if settings.port == 0:
        return False, "PEEP_PORT=0: the gateway picked a port that only its log knows"
    address = (_SAME_MACHINE.get(settings.host, settings.host), settings.port)
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
