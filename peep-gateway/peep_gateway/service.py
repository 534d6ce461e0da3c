"""Builds the gateway from its settings, and runs it. No other module builds its parts."""

import functools

import structlog

from line_server.activation import Endpoint
from line_server.connection import LineConnection
from line_server.listener import display
from line_server.listener_options import ListenerOptions
from line_server.server import LineServer
from peep_gateway.administration import Administration
from peep_gateway.connection import NO_ROOM, PeepConnection
from peep_gateway.connection_limits import ConnectionLimits
from service_runtime import process
from service_runtime.certificates import CertificateFiles, watch
from service_runtime.front_end import FrontEnd, serve_front_end
from service_runtime.lifecycle import Lifecycle
from service_runtime.setting_formats import administrators_without_peep
from service_runtime.settings import GatewaySettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

SERVICE = "peep-gateway"

PATIENCE_SECONDS = 5.0
"""How long `a` may wait for its turn to have a password checked (P18), of ten seconds for signing in."""

DRAIN_SECONDS = 1.0
"""How long open sessions may take to finish at the most: an administrator's tool connects anew."""


async def serve(settings: GatewaySettings, lifecycle: Lifecycle) -> None:
    """Serve PEEP until the process is asked to stop. Raises `StartError` when that cannot begin."""
    certificates = None
    endpoints = [Endpoint("peep", settings.host, settings.port, "PEEP_PORT")]
    if settings.tls_cert_file:
        certificates = CertificateFiles(settings.tls_cert_file, settings.tls_key_file)
        lifecycle.on_reload(certificates.reload)
        endpoints.append(Endpoint("peeps", settings.host, settings.tls_port, "PEEP_TLS_PORT"))
    await serve_front_end(
        SERVICE,
        settings,
        lifecycle,
        endpoints,
        functools.partial(_serve, settings, lifecycle, certificates),
        patience_seconds=PATIENCE_SECONDS,
    )


async def _serve(
    settings: GatewaySettings,
    lifecycle: Lifecycle,
    certificates: CertificateFiles | None,
    front_end: FrontEnd,
) -> None:
    for name in administrators_without_peep(settings.admins):
        log.warning(
            "administrator's password has a space: PEEP cannot carry it, HTTP can", administrator=name
        )
    administration = Administration(front_end.repository, front_end.passwords, front_end.authenticator)
    make_connection = functools.partial(
        PeepConnection, administration=administration, limits=ConnectionLimits()
    )
    server = LineServer(make_connection, no_room=NO_ROOM)
    plain, *in_tls = front_end.sockets
    await server.listen(plain)
    if certificates is not None:
        await server.listen(in_tls[0], ListenerOptions(tls=certificates.context))
    lifecycle.ready(
        (label, display(sockets[0].getsockname()))
        for label, sockets in zip(("PEEP", "PEEPS"), front_end.sockets, strict=False)
        if sockets
    )
    await lifecycle.until_stopped(watch(certificates))
    server.stop_listening()
    for connection in list(server.connections):
        if isinstance(connection, PeepConnection):
            connection.finish()
    await server.drain(min(settings.drain_seconds, DRAIN_SECONDS), LineConnection.abort)


def main() -> int:
    """Serve until asked to stop, and return the process's exit code."""
    return process.run(
        SERVICE, "Serve PEEP, the administrators' side of Peep's POP3 service.", GatewaySettings, serve
    )
