"""Where a service listens: sockets that systemd has passed on (sd_listen_fds(3)), else addresses of its own.

Sockets that systemd opens stay open while the service is restarted: clients wait, and none is refused. Other
programs than systemd may pass them on in the same way.
"""

import contextlib
import os
import socket
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass

from line_server.listener import ListenError, listen, notice_vanished_clients

FIRST_DESCRIPTOR = 3
INTERNET = (socket.AF_INET, socket.AF_INET6)

PassedSockets = Mapping[str, list[socket.socket]]
"""Listening sockets by the `FileDescriptorName=` of their .socket unit."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port of a service: its sockets' name where they are passed on, else its address.

    `variable` is the setting of the port, for messages.
    """

    name: str
    host: str
    port: int
    variable: str


def passed_sockets(environment: MutableMapping[str, str] = os.environ) -> PassedSockets:
    """Return the sockets that were passed to this process; the variables that say so are removed.

    Raises `ListenError` for one that no TCP client can connect to.
    """
    process, number, names = (environment.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
    passed: dict[str, list[socket.socket]] = {}
    if process != str(os.getpid()):  # they were meant for the process that started us
        return passed
    each = names.split(":") if names else [""] * int(number)
    for descriptor, name in enumerate(each, FIRST_DESCRIPTOR):
        passed.setdefault(name, []).append(_taken(descriptor, name))
    return passed


def open_sockets(endpoints: Sequence[Endpoint], passed: PassedSockets) -> list[list[socket.socket]]:
    """Return the sockets of each endpoint, one for each of its addresses.

    If any was passed on, these are all: an endpoint without one has none. Raises `ListenError`.
    """
    if passed:
        _require_known(passed, [endpoint.name for endpoint in endpoints])
        return [passed.get(endpoint.name, []) for endpoint in endpoints]
    opened: list[list[socket.socket]] = []
    try:
        for endpoint in endpoints:
            bound = listen(endpoint.host, endpoint.port, endpoint.variable)
            opened.append(bound)
    except BaseException:
        close_all(opened)
        raise
    return opened


def close_all(opened: Iterable[Iterable[socket.socket]]) -> None:
    """Close the sockets of all endpoints."""
    for sockets in opened:
        for bound in sockets:
            bound.close()


def inherited_socket(descriptor: int) -> socket.socket:
    """Return a socket that was bound by the process that started this one."""
    bound = socket.socket(fileno=descriptor)
    bound.set_inheritable(False)
    bound.setblocking(False)
    return bound


def _taken(descriptor: int, name: str) -> socket.socket:
    with contextlib.suppress(OSError):  # it is no socket
        bound = inherited_socket(descriptor)
        if bound.family in INTERNET and bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            notice_vanished_clients(bound)
            return bound
        bound.close()
    raise ListenError(
        f"descriptor {descriptor} ({name!r}), which was passed on, is no listening TCP socket: "
        "a .socket unit needs ListenStream= with a port, and no Accept=yes"
    )


def _require_known(passed: PassedSockets, names: Sequence[str]) -> None:
    if unknown := sorted(passed.keys() - names):
        raise ListenError(
            f"a socket with FileDescriptorName={unknown[0]} was passed on, and what can be served is "
            f"{' and '.join(names)}: one inside TLS needs PEEP_TLS_CERT_FILE; else mask its .socket unit"
        )
