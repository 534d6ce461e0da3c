"""What both front ends for administrators, PEEP and HTTP, do before and after they serve."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from line_server.activation import Endpoint, close_all, open_sockets
from line_server.listener import ListenError
from line_server.proxy_header import TrustedProxies
from service_runtime.attendance import Attendance
from service_runtime.errors import StartError
from service_runtime.lifecycle import Lifecycle
from service_runtime.processors import usable_processors
from service_runtime.settings import AdministratorSettings
from service_runtime.waiting import prepare_patiently
from state_store.audit import on_this_machine
from state_store.credentials.administrators import Administrators
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.errors import StoreUnusable
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """What a front end serves with; all of it is closed for it afterwards."""

    sockets: list[list[socket.socket]]
    """The bound sockets of each endpoint."""
    repository: StateRepository
    passwords: Passwords
    authenticator: Authenticator


async def serve_front_end(
    service: str,
    settings: AdministratorSettings,
    lifecycle: Lifecycle,
    endpoints: Sequence[Endpoint],
    serve: Callable[[FrontEnd], Awaitable[None]],
    *,
    patience_seconds: float,
) -> None:
    """Bind the endpoints, wait for Redis, install the administrators, then `serve`.

    An attempt to sign in waits at most `patience_seconds` for its turn (P18). `serve` is not called where the
    process is stopped before Redis is there. Raises `StartError` when an address cannot be had, or Redis can
    never serve us.
    """
    try:
        sockets = open_sockets(endpoints, lifecycle.passed_sockets)
    except ListenError as error:
        raise StartError(str(error)) from None
    repository = StateRepository(settings.redis_url)
    passwords = Passwords(usable_processors())
    is_trusted = TrustedProxies(settings.trusted_networks).trusts
    authenticator = Authenticator(
        repository, passwords, is_trusted=is_trusted, patience_seconds=patience_seconds
    )
    front_end = FrontEnd(sockets, repository, passwords, authenticator)
    try:
        await _serve(service, settings, lifecycle, serve, front_end)
    except StoreUnusable as error:
        raise StartError(str(error)) from None
    finally:
        passwords.close()
        await repository.close()
        close_all(sockets)


async def _serve(
    service: str,
    settings: AdministratorSettings,
    lifecycle: Lifecycle,
    serve: Callable[[FrontEnd], Awaitable[None]],
    front_end: FrontEnd,
) -> None:
    repository = front_end.repository
    by = on_this_machine(service)
    administrators = Administrators(repository, front_end.passwords, settings.admins, by=by)
    attendance = Attendance(service, settings, repository, administrators)
    if not await prepare_patiently(repository, log, settings.redis_url, lifecycle, attendance.begin):
        return
    lifecycle.on_reload(attendance.reread)
    keeping_up = asyncio.create_task(attendance.keep_up())
    try:
        await serve(front_end)
    finally:
        keeping_up.cancel()
        await administrators.leave()
