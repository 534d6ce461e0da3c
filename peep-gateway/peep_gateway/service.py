"""Environment to objects to service. The only place that builds things."""

import functools
import socket

import structlog

from line_server.connection import LineConnection
from line_server.entrance import Entrance
from line_server.listener import display
from line_server.proxy_header import TrustedProxies
from line_server.server import LineServer
from peep_gateway.connection import NO_ROOM, PeepConnection
from peep_gateway.places import Places, limits
from peep_gateway.questions import Questions
from service_runtime import command_line, process
from service_runtime.certificates import CertificateFiles, watch
from service_runtime.front_end import Place, serve_front_end
from service_runtime.setting_formats import administrators_without_peep
from service_runtime.settings import GatewaySettings
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

SERVICE = "peep-gateway"

PATIENCE_SECONDS = 5.0
"""How long `a` may wait for an allowance of wrong passwords: there are ten seconds for signing in."""

DRAIN_SECONDS = 1.0
"""The most that is spent on open sessions at the end: an administrator's tool connects anew."""


async def serve(given: GatewaySettings, lifecycle: process.Lifecycle) -> None:
    """Serve PEEP until the process is told to stop. Raises `StartError` when that cannot begin."""
    certificates = CertificateFiles(given.tls_cert_file, given.tls_key_file) if given.tls_cert_file else None
    places = [Place(given.host, given.port, "port")]
    if certificates is not None:
        places.append(Place(given.host, given.tls_port, "tls_port"))
    await serve_front_end(
        SERVICE, given, lifecycle, places, functools.partial(_serve, given, lifecycle, certificates)
    )


async def _serve(
    given: GatewaySettings,
    lifecycle: process.Lifecycle,
    certificates: CertificateFiles | None,
    sockets: list[list[socket.socket]],
    repository: StateRepository,
    passwords: Passwords,
) -> None:
    for name in administrators_without_peep(given.admins):
        log.warning(
            "administrator's password has a space: PEEP cannot carry it, HTTP can", administrator=name
        )
    questions = Questions(repository)
    authenticator = Authenticator(
        repository,
        passwords,
        is_trusted=TrustedProxies(given.trusted_networks).trusts,
        patience_seconds=PATIENCE_SECONDS,
    )
    server = LineServer(
        functools.partial(
            PeepConnection,
            repository=repository,
            passwords=passwords,
            authenticator=authenticator,
            questions=questions,
            places=Places(*limits()),
        ),
        no_room=NO_ROOM,
    )
    plain, *in_tls = sockets
    await server.listen(plain)
    if certificates is not None:
        await server.listen(in_tls[0], Entrance(tls=certificates.context))
    if certificates is not None:
        lifecycle.on_reload(certificates.reload)
    lifecycle.ready(
        (label, display(bound[0].getsockname()))
        for label, bound in zip(("PEEP", "PEEPS"), sockets, strict=False)
    )
    await lifecycle.until_stopped(watch(certificates))
    server.stop_listening()
    for connection in list(server.connections):
        if isinstance(connection, PeepConnection):
            connection.finish()
    await server.drain(min(given.drain_seconds, DRAIN_SECONDS), LineConnection.abort)


def main() -> int:
    """Serve until told to stop, and return the process's exit code."""
    return command_line.run(
        SERVICE, "Serve PEEP, the administrators' side of Peep's POP3 service.", GatewaySettings, serve
    )
