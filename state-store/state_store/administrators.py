"""The administrators of a deployment: those that the settings name, or a first one of our own making."""

import asyncio
import secrets
from collections.abc import Mapping

from state_store.errors import StoreUnavailable
from state_store.passwords import Passwords
from state_store.records import Credential
from state_store.repository import AdministratorRepository

FIRST_ADMINISTRATOR = "admin"

ATTEMPTS = 10
PAUSE_SECONDS = 0.5


async def install_administrators(
    repository: AdministratorRepository, passwords: Passwords, given: Mapping[str, str]
) -> str | None:
    """Make the `given` names and passwords the only administrators.

    With none given and none in the store, make `admin` with a random password, which is returned so
    that it can be shown once; only its hash is kept. Otherwise return None.
    """
    known = await repository.administrators()
    if given:
        await repository.replace_administrators(await _hashes(passwords, given, known))
        return None
    if known:
        return None
    password = secrets.token_urlsafe(15)
    password_hash = await passwords.new_hash(password)
    is_first = await _add_first(repository, password_hash)
    return password if is_first else None


async def _add_first(repository: AdministratorRepository, password_hash: str) -> bool:
    # The answer may be lost after it was done: asked again with the same hash, the store says so,
    # and the password is still shown.
    for _ in range(ATTEMPTS):
        try:
            return await repository.add_first_administrator(FIRST_ADMINISTRATOR, password_hash)
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)
    return await repository.add_first_administrator(FIRST_ADMINISTRATOR, password_hash)


async def _hashes(passwords: Passwords, given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Keep the hash of an unchanged password, so that a restart changes nothing for the other replicas."""
    hashes = {}
    for name, password in given.items():
        old = Credential(known[name], known[name]) if name in known else None
        is_unchanged = old is not None and await passwords.is_right(f"administrator {name}", old, password)
        hashes[name] = known[name] if is_unchanged else await passwords.new_hash(password)
    return hashes
