"""`python -m state_api`: environment to objects to service. The only place that builds things."""

import asyncio
import socket
import sys

import structlog

from line_server.listener import ListenError, display, listen
from service_runtime import command_line, process, settings
from service_runtime.errors import StartError
from service_runtime.settings import ApiSettings
from state_api import health
from state_api.app import create_app
from state_api.serving import serve_http
from state_store.authentication import Authenticator
from state_store.errors import StoreUnusable
from state_store.front_end import prepare_front_end
from state_store.passwords import Passwords
from state_store.redis_repository import RedisRepository
from state_store.repository import StateRepository

SERVICE = "state-api"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


async def serve(given: ApiSettings, lifecycle: process.Lifecycle) -> None:
    """Serve HTTP until the process is told to stop. Raises `StartError` when that cannot begin."""
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


def _bind(given: ApiSettings) -> list[socket.socket]:
    try:
        return listen(given.http_host, given.http_port, settings.variable("http_port"))
    except ListenError as error:
        raise StartError(str(error)) from None


async def _prepared(
    repository: StateRepository, passwords: Passwords, given: ApiSettings, stopping: asyncio.Event
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
    given: ApiSettings,
    lifecycle: process.Lifecycle,
) -> None:
    authenticator = Authenticator(repository, passwords)
    app = create_app(repository, authenticator, passwords, is_draining=lifecycle.stopping.is_set)
    address = f"http://{display(sockets[0].getsockname())}"
    await serve_http(
        app,
        sockets,
        stopping=lifecycle.stopping,
        drain_seconds=given.drain_seconds,
        on_started=lambda: lifecycle.ready([("HTTP", address)]),
    )


def main() -> int:
    """Run what the command line asks for and return the process's exit code."""
    return command_line.run(
        SERVICE, "Serve Peep's settings, users and counters over HTTP.", ApiSettings, serve, health.check
    )


if __name__ == "__main__":
    sys.exit(main())
