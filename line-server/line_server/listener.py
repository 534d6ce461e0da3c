"""Listening sockets, and clear messages when a port is not available."""

import errno
import os
import socket

BACKLOG = 4096
"""Connections that may wait to be accepted: in a burst no client has to repeat its SYN."""

IDLE_SECONDS_BEFORE_PROBE = 60
"""How long a client may be silent before the kernel sends a keep-alive probe."""

PROBE_SECONDS = 10
"""How long after a probe the next one is sent."""

VANISHED_SECONDS = 150
"""A client that acknowledges no probe and no octet for so long is gone, whatever the protocol's own timeout
is: what it holds is free again within three minutes. On Linux this includes a client whose window stays
closed."""


class ListenError(Exception):
    """A listening address is not available; the text says why and what to do."""


def listen(host: str, port: int, variable: str) -> list[socket.socket]:
    """Return bound sockets for every address of `host`; port 0 picks one free port.

    Raises `ListenError`; its text names the settings `variable`.
    """
    sockets: list[socket.socket] = []
    try:
        for address in _resolve(host, port, variable):
            sockets.append(_bind(address, port))
            port = port or sockets[0].getsockname()[1]
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise ListenError(_explain(error, host, port, variable)) from error
    return sockets


def display(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Return a socket's address as `host:port`; IPv4 mapped to IPv6 becomes IPv4."""
    host, port = plain_host(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def plain_host(host: str) -> str:
    """Return an address; IPv4 mapped to IPv6, as on dual-stack sockets, becomes IPv4."""
    return host.removeprefix("::ffff:") if host.startswith("::ffff:") and "." in host else host


def _resolve(host: str, port: int, variable: str) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ListenError(f"{variable}: no address is known for the host {host!r}") from error
    unique = dict.fromkeys((family, address) for family, _, _, _, address in found)
    return [(family, (str(address[0]), port)) for family, address in unique]


def _bind(address: tuple[socket.AddressFamily, tuple[str, int]], port: int) -> socket.socket:
    family, (host, _) = address
    # asyncio's own loop sets TCP_NODELAY only on sockets made with IPPROTO_TCP; short replies waited 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host != "::":
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        notice_vanished_clients(bound)
        bound.bind((host, port))
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def notice_vanished_clients(bound: socket.socket) -> None:
    """Let the kernel end connections whose client is gone; accepted sockets inherit this."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probes = (VANISHED_SECONDS - IDLE_SECONDS_BEFORE_PROBE) // PROBE_SECONDS
    idle = "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"  # the latter on macOS
    for name, value in (
        (idle, IDLE_SECONDS_BEFORE_PROBE),
        ("TCP_KEEPINTVL", PROBE_SECONDS),
        ("TCP_KEEPCNT", probes),
        ("TCP_USER_TIMEOUT", VANISHED_SECONDS * 1000),  # Linux only, for octets that are not acknowledged
    ):
        if hasattr(socket, name):  # pragma: no branch - macOS
            bound.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _explain(error: OSError, host: str, port: int, variable: str) -> str:
    where = f"cannot listen on {host}:{port} ({variable})"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: the port is taken; choose another, or see who has it: ss -ltnp 'sport = :{port}'"
    if error.errno == errno.EACCES:
        return f"{where}: ports below 1024 need a privilege that this process lacks; choose a higher one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where}: this machine does not have that address"
    return f"{where}: {os.strerror(error.errno or 0)}"
