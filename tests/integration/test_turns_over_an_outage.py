"""Turns at password checks (P18) that Redis was away to take back."""

import asyncio

from state_store.attempts import FREE_WRONG_PASSWORDS
from state_store.authentication import Authenticator
from state_store.errors import StoreUnavailable
from state_store.passwords import Passwords
from state_store.records import Credential
from state_store.redis_repository import RedisRepository
from support.redis_server import RedisServer

ADDRESS = "192.0.2.1"


class HeldPasswords(Passwords):
    """Checks a password only when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self.go_on = asyncio.Event()

    async def is_right(self, name: str, credential: Credential | None, password: str) -> bool:
        self.held += 1
        await self.go_on.wait()
        return await super().is_right(name, credential, password)


async def test_checks_that_an_outage_cut_short_keep_nobody_of_the_address_waiting_after_it() -> None:
    with RedisServer() as server:
        ours, others = RedisRepository(server.url), RedisRepository(server.url)
        passwords = HeldPasswords()
        credential = await passwords.new_credential("secret")
        await ours.add_user("alice", credential)
        authenticator = Authenticator(ours, passwords)
        checks = [
            asyncio.create_task(authenticator.check_user("alice", "secret", ADDRESS))
            for _ in range(FREE_WRONG_PASSWORDS)
        ]
        async with asyncio.timeout(5):
            while passwords.held < len(checks):
                await asyncio.sleep(0.01)
        server.kill()
        passwords.go_on.set()
        for outcome in await asyncio.gather(*checks, return_exceptions=True):
            assert isinstance(outcome, StoreUnavailable)
        server.start()
        async with asyncio.timeout(2):
            version = await Authenticator(others, passwords).check_user("alice", "secret", ADDRESS)
        assert version == credential.version
        for repository in (ours, others):
            await repository.close()
        passwords.close()
