"""What both front ends for administrators, PEEP and HTTP, do before they serve."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from state_store.administrators import install_administrators
from state_store.passwords import Passwords
from state_store.repository import StateRepository
from state_store.waiting import prepare_patiently


async def prepare_front_end(
    repository: StateRepository,
    passwords: Passwords,
    *,
    redis_url: str,
    mail_directory: str,
    administrators: Mapping[str, str],
    stopping: asyncio.Event,
    show_password: Callable[[str], None],
    log: structlog.typing.FilteringBoundLogger,
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
