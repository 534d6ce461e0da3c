"""`python -m peep_gateway`: environment to objects to service. The only place that builds things."""

import asyncio
import functools
import socket
import sys

import structlog

from line_server.connection import LineConnection
from line_server.listener import ListenError, display, listen
from line_server.server import LineServer
from peep_gateway import health
from peep_gateway.connection import PeepConnection
from service_runtime import command_line, process, settings
from service_runtime.errors import StartError
from service_runtime.settings import GatewaySettings
from state_store.errors import StoreUnusable
from state_store.front_end import prepare_front_end
from state_store.passwords import Passwords
from state_store.redis_repository import RedisRepository
from state_store.repository import StateRepository

SERVICE = "peep-gateway"

DRAIN_SECONDS = 1.0
"""The most that is spent on open sessions at the end: an administrator's tool connects anew."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


async def serve(given: GatewaySettings, lifecycle: process.Lifecycle) -> None:
    """Serve PEEP until the process is told to stop. Raises `StartError` when that cannot begin."""
    sockets = _bind(given)
    repository = RedisRepository(given.redis_url)
    passwords = Passwords()
    try:
        if await _prepared(repository, passwords, given, lifecycle.stopping):
            await _serve(sockets, repository, passwords, given, lifecycle)
    finally:
        passwords.close()
        await repository.close()
        for bound in sockets:
            bound.close()


def _bind(given: GatewaySettings) -> list[socket.socket]:
    try:
        return listen(given.host, given.port, settings.variable("port"))
    except ListenError as error:
        raise StartError(str(error)) from None


async def _prepared(
    repository: StateRepository, passwords: Passwords, given: GatewaySettings, stopping: asyncio.Event
) -> bool:
    try:
        return await prepare_front_end(
            repository,
            passwords,
            redis_url=given.redis_url,
            mail_directory=given.mail_dir,
            administrators=given.admins,
            stopping=stopping,
            show_password=lambda password: process.show_first_password(SERVICE, password),
            log=log,
        )
    except StoreUnusable as error:
        raise StartError(str(error)) from None


async def _serve(
    sockets: list[socket.socket],
    repository: StateRepository,
    passwords: Passwords,
    given: GatewaySettings,
    lifecycle: process.Lifecycle,
) -> None:
    server = LineServer(functools.partial(PeepConnection, repository=repository, passwords=passwords))
    await server.listen(sockets)
    lifecycle.ready([("PEEP", display(sockets[0].getsockname()))])
    await lifecycle.stopping.wait()
    server.stop_listening()
    for connection in list(server.connections):
        if isinstance(connection, PeepConnection):
            connection.finish()
    await server.drain(min(given.drain_seconds, DRAIN_SECONDS), LineConnection.abort)


def main() -> int:
    """Run what the command line asks for and return the process's exit code."""
    return command_line.run(
        SERVICE,
        "Serve PEEP, the administrators' side of Peep's POP3 service.",
        GatewaySettings,
        serve,
        health.check,
    )


if __name__ == "__main__":
    sys.exit(main())
