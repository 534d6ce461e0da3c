"""What both front ends for administrators, PEEP and HTTP, do before they serve."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from state_store.administrators import install_administrators
from state_store.errors import StoreUnavailable
from state_store.passwords import Passwords
from state_store.repository import StateRepository
from state_store.waiting import pause, prepare_patiently

RETRY_SECONDS = 1.0
"""The pause after Redis answered and then did not take what we wrote, as one that is out of memory."""


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
    # Redis may go away again between the steps; each of them bears being done twice.
    while await prepare_patiently(repository, log, redis_url, stopping):
        try:
            await repository.announce_mail_directory(mail_directory, overrides=False)
            password = await install_administrators(repository, passwords, administrators)
        except StoreUnavailable as error:
            log.warning("redis did not take the first settings", reason=str(error))
            await pause(RETRY_SECONDS, stopping)
        else:
            if password is not None:
                show_password(password)
            return True
    return False
