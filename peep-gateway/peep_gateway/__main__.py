"""`python -m peep_gateway`: environment to objects to service. The only place that builds things."""

import argparse
import asyncio
import socket
import sys

import structlog

from line_server.connection import LineConnection
from line_server.listener import ListenError, display, listen
from line_server.server import LineServer
from peep_gateway import health
from peep_gateway.connection import PeepConnection
from service_runtime import process, settings
from service_runtime.errors import StartError
from service_runtime.settings import GatewaySettings
from state_store.administrators import FIRST_ADMINISTRATOR, install_administrators
from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.passwords import Passwords
from state_store.redis_repository import RedisRepository
from state_store.repository import StateRepository
from state_store.waiting import prepare_patiently

SERVICE = "peep-gateway"

DRAIN_SECONDS = 1.0
"""The most that is spent on open sessions at the end: an administrator's tool connects anew."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


RETRY_SECONDS = 1.0


async def serve(given: GatewaySettings, lifecycle: process.Lifecycle) -> None:
    """Serve PEEP until the process is told to stop. Raises `StartError` when that cannot begin."""
    sockets = _bind(given)
    repository = RedisRepository(given.redis_url)
    passwords = Passwords()
    try:
        if await _prepared(repository, passwords, given, lifecycle):
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
    repository: StateRepository, passwords: Passwords, given: GatewaySettings, lifecycle: process.Lifecycle
) -> bool:
    try:
        # Redis may go away again between the steps; each of them bears being done twice.
        while await prepare_patiently(repository, log, given.redis_url, lifecycle.stopping):
            try:
                await _install(repository, passwords, given)
            except StoreUnavailable as error:
                # It answers, and cannot do what we ask: read-only, perhaps, or out of memory.
                log.warning("state store cannot be written to", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return True
    except StoreUnusable as error:
        raise StartError(str(error)) from None
    return False


async def _install(repository: StateRepository, passwords: Passwords, given: GatewaySettings) -> None:
    await repository.announce_mail_directory(given.mail_dir, overrides=False)
    password = await install_administrators(repository, passwords, given.admins)
    if password is not None:
        # Not through the log: logs are kept, copied and read by many.
        print(
            f"{SERVICE}: the first administrator is {FIRST_ADMINISTRATOR!r} with the password {password} "
            "(shown only now; only its hash is kept)",
            flush=True,
        )


async def _serve(
    sockets: list[socket.socket],
    repository: StateRepository,
    passwords: Passwords,
    given: GatewaySettings,
    lifecycle: process.Lifecycle,
) -> None:
    server = LineServer(lambda connections: PeepConnection(connections, repository, passwords))
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
    arguments = _parser().parse_args()
    if arguments.action == "serve":
        return process.run(SERVICE, GatewaySettings, serve)
    try:
        is_healthy, line = health.check(settings.load(GatewaySettings))
    except StartError as error:
        is_healthy, line = False, str(error)
    print(f"{SERVICE}: {line}")
    return 0 if is_healthy else 1


def _parser() -> argparse.ArgumentParser:
    fields = GatewaySettings.model_fields.items()
    parser = argparse.ArgumentParser(
        prog="python -m peep_gateway",
        description="Serve PEEP, the administrators' side of Peep's POP3 service.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            ["environment:", *(f"  {settings.variable(name)}: {field.description}" for name, field in fields)]
        ),
    )
    parser.add_argument(
        "action",
        nargs="?",
        choices=("serve", "health"),
        default="serve",
        help="serve (the default), or ask whether the gateway on this machine answers: exit code 0 or 1",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
