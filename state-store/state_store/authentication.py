"""Who is it? Passwords of administrators and users, checked under the rule for wrong ones (P18)."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from state_store.passwords import Passwords
from state_store.records import Credential
from state_store.repository import StateRepository

TURN_POLL_SECONDS = 0.025
"""How often a waiting ticket asks for its turn: short against argon2's 20 ms, and only while under attack."""


class Authenticator:
    """Checks passwords against the store.

    From one address, over all replicas and front ends, wrong passwords are answered at once three
    times a minute; after that every check of the address waits its turn, and each wrong one keeps the
    turn for 0.25 s, doubling to 4 s. A right password waits for nothing but its turn.
    """

    def __init__(self, repository: StateRepository, passwords: Passwords) -> None:
        self._repository = repository
        self._passwords = passwords

    async def check_administrator(self, name: str, password: str, address: str) -> bool:
        """Return whether these are an administrator's name and password."""
        # Administrators and users are different people, so they are remembered under different names.
        remembered_as = f"administrator {name}"
        recalled = self._passwords.recall(remembered_as, password)
        if recalled is not None and not await self._repository.must_take_turn(address):
            administrators = await self._repository.administrators()
            if administrators.get(name) == recalled:
                return True
        async with self._turn(address) as ticket:
            password_hash = (await self._repository.administrators()).get(name)
            credential = Credential(password_hash, password_hash) if password_hash is not None else None
            if await self._passwords.is_right(remembered_as, credential, password):
                return True
            await self._wait_for_wrong(address, ticket)
            return False

    async def check_user(self, username: str, password: str, address: str) -> str | None:
        """Return the version of the user's credential that this password fits, None when it fits none."""
        async with self._turn(address) as ticket:
            credential = await self._repository.credential(username)
            if await self._passwords.is_right(username, credential, password):
                assert credential is not None
                return credential.version
            await self._wait_for_wrong(address, ticket)
            return None

    async def _wait_for_wrong(self, address: str, ticket: str) -> None:
        await asyncio.sleep(await self._repository.note_wrong_password(address, ticket))

    @asynccontextmanager
    async def _turn(self, address: str) -> AsyncIterator[str]:
        ticket = secrets.token_hex(8)
        try:
            while not await self._repository.take_turn(address, ticket):
                await asyncio.sleep(TURN_POLL_SECONDS)
            yield ticket
        finally:
            await self._repository.end_turn(address, ticket)
