"""`python -m state_api`: environment to objects to service. The only place that builds things."""

import argparse
import asyncio
import contextlib
import socket
import sys

import structlog

from line_server.listener import ListenError, display, listen
from service_runtime import process, settings
from service_runtime.errors import StartError
from service_runtime.settings import ApiSettings
from state_api import health
from state_api.app import create_app
from state_api.serving import serve_http
from state_store.administrators import FIRST_ADMINISTRATOR, install_administrators
from state_store.authentication import Authenticator
from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.passwords import Passwords
from state_store.redis_repository import RedisRepository
from state_store.repository import StateRepository
from state_store.waiting import prepare_patiently

SERVICE = "state-api"

RETRY_SECONDS = 1.0
"""The pause after Redis answered and then did not take what we wrote, as one that is out of memory."""

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
        # Redis may go away again between the steps; each of them bears being done twice.
        while await prepare_patiently(repository, log, given.redis_url, stopping):
            try:
                await _install(repository, passwords, given)
            except StoreUnavailable as error:
                log.warning("redis did not take the first settings", reason=str(error))
                await _pause(stopping)
                continue
            return True
    except StoreUnusable as error:
        raise StartError(str(error)) from None
    return False


async def _pause(stopping: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)


async def _install(repository: StateRepository, passwords: Passwords, given: ApiSettings) -> None:
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
    arguments = _parser().parse_args()
    if arguments.action == "serve":
        return process.run(SERVICE, ApiSettings, serve)
    try:
        is_healthy, line = health.check(settings.load(ApiSettings))
    except StartError as error:
        is_healthy, line = False, str(error)
    print(f"{SERVICE}: {line}")
    return 0 if is_healthy else 1


def _parser() -> argparse.ArgumentParser:
    fields = ApiSettings.model_fields.items()
    parser = argparse.ArgumentParser(
        prog="python -m state_api",
        description="Serve Peep's settings, users and counters over HTTP.",
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
        help="serve (the default), or ask whether the service on this machine is ready: exit code 0 or 1",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
