"""The administrators of a deployment: those that the settings name, or a first one of our own making."""

import asyncio
import contextlib
import secrets
from collections.abc import Mapping

from state_store.credentials.passwords import Passwords
from state_store.errors import StateError, StoreUnavailable
from state_store.records import Credential, Word
from state_store.repository import AdministratorRepository

FIRST_ADMINISTRATOR = "admin"

ATTEMPTS = 10
PAUSE_SECONDS = 0.5


class Administrators:
    """The administrators that one front end's settings name, beside those that others name.

    Whom no front end names any more is an administrator no longer. One without names of its own keeps
    `admin`, whom a first start has made.
    """

    def __init__(
        self, repository: AdministratorRepository, passwords: Passwords, given: Mapping[str, str]
    ) -> None:
        self._repository = repository
        self._passwords = passwords
        self._given = given
        self._front_end = secrets.token_hex(8)
        self._hashes: Mapping[str, str] = {}

    async def install(self) -> str | None:
        """Make the given names and passwords administrators.

        With none given and none in the store, make `admin` with a random password, which is returned so
        that it can be shown once; only its hash is kept. Otherwise return None.
        """
        known = await self._repository.administrators()
        if self._given:
            self._hashes = await _hashes(self._passwords, self._given, known)
            await self._name(Word.START)
            return None
        password = None if known else await self._make_first()
        known = await self._repository.administrators()
        self._hashes = {name: known[name] for name in known if name == FIRST_ADMINISTRATOR}
        await self.name_again()
        return password

    async def change(self, given: Mapping[str, str]) -> None:
        """Do what a start with other settings does."""
        before, self._given = self._given, given
        try:
            await self.install()
        except BaseException:
            self._given = before
            raise

    async def name_again(self) -> None:
        """Say that this front end is still there, and whom it names."""
        await self._name(Word.AGAIN if self._given else Word.KEEP)

    async def leave(self) -> None:
        """Say that it ends; a store that is away learns it from the silence."""
        with contextlib.suppress(StateError):
            await self._repository.leave(self._front_end)

    async def _name(self, word: Word) -> None:
        await self._repository.replace_administrators(self._hashes, self._front_end, word)

    async def _make_first(self) -> str | None:
        password = secrets.token_urlsafe(15)
        password_hash = await self._passwords.new_hash(password)
        is_first = await _add_first(self._repository, password_hash)
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
