"""What both front ends for administrators, PEEP and HTTP, do before and after they serve."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping

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
    """Bind, wait for Redis, install the administrators, then `serve`; close everything when it returns.

    Raises `StartError` when the address cannot be had, or Redis can never serve us.
    """
    try:
        sockets = listen(host, port, variable(port_setting))
    except ListenError as error:
        raise StartError(str(error)) from None
    repository = RedisRepository(given.redis_url)
    passwords = Passwords()
    try:
        is_prepared = await prepare_front_end(
            repository,
            passwords,
            redis_url=given.redis_url,
            mail_directory=given.mail_dir,
            administrators=given.admins,
            stopping=lifecycle.stopping,
            show_password=lambda password: show_first_password(service, password),
        )
        if is_prepared:
            await serve(sockets, repository, passwords)
    except StoreUnusable as error:
        raise StartError(str(error)) from None
    finally:
        passwords.close()
        await repository.close()
        for bound in sockets:
            bound.close()


async def prepare_front_end(
    repository: StateRepository,
    passwords: Passwords,
    *,
    redis_url: str,
    mail_directory: str,
    administrators: Mapping[str, str],
    stopping: asyncio.Event,
    show_password: Callable[[str], None],
) -> bool:
    """Wait for Redis, announce the mail directory, and install the administrators.

    `show_password` gets the first administrator's password when this call made it. Returns False when
    `stopping` came first; raises `StoreUnusable` when Redis can never serve us.
    """

    async def first_steps() -> None:
        await repository.announce_mail_directory(mail_directory, overrides=False)
        password = await install_administrators(repository, passwords, administrators)
        if password is not None:
            show_password(password)

    return await prepare_patiently(repository, log, redis_url, stopping, first_steps)
