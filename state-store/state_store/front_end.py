"""What both front ends for administrators, PEEP and HTTP, do before and after they serve."""

import socket
from collections.abc import Awaitable, Callable

import structlog

from line_server.listener import ListenError, listen
from service_runtime.errors import StartError
from service_runtime.process import Lifecycle, show_first_password
from service_runtime.settings import AdministratorSettings, variable
from state_store.administrators import install_administrators
from state_store.errors import StoreUnusable
from state_store.passwords import Passwords
from state_store.redis_repository import RedisRepository
from state_store.repository import StateRepository
from state_store.waiting import prepare_patiently

Serve = Callable[[list[socket.socket], StateRepository, Passwords], Awaitable[None]]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


async def serve_front_end(
    service: str,
    given: AdministratorSettings,
    lifecycle: Lifecycle,
    *,
    host: str,
    port: int,
    port_setting: str,
    serve: Serve,
) -> None:
    """Bind, wait for Redis, announce the mail directory, install the administrators, then `serve`.

    Everything is closed when that returns. It is not called where we are stopped before Redis is there.
    Raises `StartError` when the address cannot be had, or Redis can never serve us.
    """
    try:
        sockets = listen(host, port, variable(port_setting))
    except ListenError as error:
        raise StartError(str(error)) from None
    repository = RedisRepository(given.redis_url)
    passwords = Passwords()

    async def first_steps() -> None:
        await repository.announce_mail_directory(given.mail_dir, overrides=False)
        password = await install_administrators(repository, passwords, given.admins)
        if password is not None:  # this call made the first administrator
            show_first_password(service, password)

    try:
        if await prepare_patiently(repository, log, given.redis_url, lifecycle.stopping, first_steps):
            await serve(sockets, repository, passwords)
    except StoreUnusable as error:
        raise StartError(str(error)) from None
    finally:
        passwords.close()
        await repository.close()
        for bound in sockets:
            bound.close()
