"""What both front ends for administrators, PEEP and HTTP, do before and after they serve."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from line_server.listener import ListenError, listen
from service_runtime.attendance import Attendance
from service_runtime.errors import StartError
from service_runtime.process import Lifecycle, show_first_password
from service_runtime.processors import usable_processors
from service_runtime.rereading import AdministratorsReader
from service_runtime.settings import AdministratorSettings, variable
from service_runtime.waiting import prepare_patiently
from state_store.credentials.administrators import Administrators
from state_store.credentials.passwords import Passwords
from state_store.errors import StoreUnusable
from state_store.redis.repository import RedisRepository
from state_store.repository import StateRepository

Serve = Callable[[list[list[socket.socket]], StateRepository, Passwords], Awaitable[None]]
"""Is given the bound sockets of each place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a front end listens, and which of its settings says so."""

    host: str
    port: int
    port_setting: str


log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


async def serve_front_end(
    service: str,
    given: AdministratorSettings,
    lifecycle: Lifecycle,
    places: Sequence[Place],
    serve: Serve,
) -> None:
    """Bind, wait for Redis, announce the mail directory, install the administrators, then `serve`.

    Everything is closed when that returns. It is not called where we are stopped before Redis is there.
    Raises `StartError` when the address cannot be had, or Redis can never serve us.
    """
    sockets: list[list[socket.socket]] = []
    with contextlib.ExitStack() as bound:
        try:
            for place in places:
                sockets.append(listen(place.host, place.port, variable(place.port_setting)))
                for one in sockets[-1]:
                    bound.callback(one.close)
        except ListenError as error:
            raise StartError(str(error)) from None
        await _serve_with_store(service, given, lifecycle, functools.partial(serve, sockets))


async def _serve_with_store(
    service: str,
    given: AdministratorSettings,
    lifecycle: Lifecycle,
    serve: Callable[[StateRepository, Passwords], Awaitable[None]],
) -> None:
    repository = RedisRepository(given.redis_url)
    passwords = Passwords(usable_processors())

    administrators = Administrators(repository, passwords, given.admins)

    async def first_steps() -> None:
        await repository.announce_mail_directory(given.mail_dir, overrides=False)
        password = await administrators.install()
        if password is not None:  # this call made the first administrator
            show_first_password(service, password)

    attendance = Attendance(repository, first_steps, administrators.name_again)
    try:
        if await prepare_patiently(repository, log, given.redis_url, lifecycle.stopping, attendance.begin):
            lifecycle.on_reload(AdministratorsReader(given, administrators).read)
            keeping_up = asyncio.create_task(attendance.keep_up())
            try:
                await serve(repository, passwords)
            finally:
                keeping_up.cancel()
                await administrators.leave()
    except StoreUnusable as error:
        raise StartError(str(error)) from None
    finally:
        passwords.close()
        await repository.close()
