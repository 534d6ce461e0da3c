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
        async with self._turn(address) as turn:
            password_hash = (await self._repository.administrators()).get(name)
            credential = Credential(password_hash, password_hash) if password_hash is not None else None
            if await self._passwords.is_right(remembered_as, credential, password):
                return True
            await turn.serve_delay()
            return False

    async def check_user(self, username: str, password: str, address: str) -> str | None:
        """Return the version of the user's credential that this password fits, None when it fits none."""
        async with self._turn(address) as turn:
            credential = await self._repository.credential(username)
            if await self._passwords.is_right(username, credential, password):
                assert credential is not None
                return credential.version
            await turn.serve_delay()
            return None

    @asynccontextmanager
    async def _turn(self, address: str) -> AsyncIterator["_Turn"]:
        turn = _Turn(self._repository, address)
        try:
            while not await self._repository.take_turn(address, turn.ticket):
                await asyncio.sleep(TURN_POLL_SECONDS)
            yield turn
        finally:
            await turn.end()


class _Turn:
    """One check's place in the queue of its address.

    The delay of a wrong password is served even when its client does not wait for the answer: who hangs
    up shall not have the next turn any sooner. A turn that nothing was checked in ends at once.
    """

    def __init__(self, repository: StateRepository, address: str) -> None:
        self.ticket = secrets.token_hex(8)
        self._repository = repository
        self._address = address
        self._delay: asyncio.Task[None] | None = None

    async def serve_delay(self) -> None:
        """Count a wrong password and wait for as long as its answer has to."""
        self._delay = asyncio.create_task(self._count_and_wait())
        _DELAYS.add(self._delay)
        self._delay.add_done_callback(_DELAYS.discard)
        await asyncio.shield(self._delay)

    async def end(self) -> None:
        """Let the next one have its turn; a delay that is still served ends it itself."""
        if self._delay is None:
            await self._repository.end_turn(self._address, self.ticket)

    async def _count_and_wait(self) -> None:
        try:
            await asyncio.sleep(await self._repository.note_wrong_password(self._address, self.ticket))
        finally:
            await self._repository.end_turn(self._address, self.ticket)


_DELAYS: set[asyncio.Task[None]] = set()
"""The event loop itself keeps no strong reference to a task."""
