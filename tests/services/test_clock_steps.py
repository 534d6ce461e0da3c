"""The clock of the server is set, forwards and back: locks, leases and delays mean what they meant."""

import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from state_api.proof import Proof
from state_store.administrators import Role
from state_store.credentials.api_tokens import new_token, token_digest
from state_store.credentials.authentication import Authenticator
from state_store.records import LEASE_SECONDS, Credential, Exchange, Instance, Login, LoginOutcome
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords
from support.shifted_clock import ShiftedClock, server_with_a_clock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a library is preloaded as on Linux")

STEPS = [-3600, -60, 60, 3600]
DELAY_SECONDS = 60
A_MOMENT = 5
"""Seconds between two looks at the leases, as there are where an instance lives."""


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShiftedClock]:
    with server_with_a_clock(tmp_path_factory.mktemp("clock")) as clock:
        yield clock


@dataclass
class Store:
    """Two instances over a server whose clock can be set."""

    repository: StateRepository
    clock: ShiftedClock

    async def log_in(self, instance_id: str, session_id: str, delay: int = 0) -> LoginOutcome:
        asking = Exchange(
            instance_id,
            0,
            logins=[Login("alice", session_id, "v1", "192.0.2.1")],
            login_delay_seconds=delay,
        )
        return (await self.repository.exchange(asking)).logins[0]

    async def live(self) -> list[str]:
        return [status.instance.instance_id for status in await self.repository.instances()]

    async def pass_time(self, seconds: float) -> None:
        """Let as much time pass as the server can tell, with the second instance alive."""
        for _ in range(int(seconds // A_MOMENT)):
            self.clock.step(A_MOMENT)
            await self.repository.exchange(Exchange("i2", 0))


@pytest.fixture
async def store(shifted: ShiftedClock) -> AsyncIterator[Store]:
    shifted.server.flush()
    repository = StateRepository(shifted.server.url)
    await repository.prepare()
    await repository.add_user("alice", Credential("$argon2id$one", "v1"), by=OPERATOR)
    for name in ("i1", "i2"):
        await repository.register_instance(Instance(name, "host.example", 42, "1.2.3", 1000.0))
    yield Store(repository, shifted)
    await repository.close()


@pytest.mark.parametrize("seconds", STEPS)
async def test_crashed_instance_holds_nothing_for_longer_than_a_lease_after_a_step(
    store: Store, seconds: int
) -> None:
    assert await store.log_in("i1", "s1") is LoginOutcome.OPENED
    store.clock.step(seconds)  # i1 has crashed, and says nothing more
    assert await store.log_in("i2", "s2") is LoginOutcome.IN_USE
    await store.pass_time(LEASE_SECONDS)
    assert await store.log_in("i2", "s2") is LoginOutcome.OPENED
    assert await store.live() == ["i2"]


@pytest.mark.parametrize("seconds", STEPS)
async def test_step_neither_ends_a_living_lease_nor_opens_its_maildrop_to_another(
    store: Store, seconds: int
) -> None:
    assert await store.log_in("i1", "s1") is LoginOutcome.OPENED
    store.clock.step(seconds)
    assert await store.log_in("i2", "s2") is LoginOutcome.IN_USE
    await store.repository.exchange(Exchange("i1", 0))
    assert sorted(await store.live()) == ["i1", "i2"]
    assert await store.repository.logged_in_users() == ["alice"]


@pytest.mark.parametrize("seconds", STEPS)
async def test_no_lease_is_written_that_ends_later_than_now_and_its_length(
    store: Store, seconds: int
) -> None:
    store.clock.step(seconds)
    await store.repository.counters()
    with store.clock.server.client() as client:
        server_seconds, microseconds = client.time()
        now_ms = server_seconds * 1000 + microseconds / 1000
        ends = [end for _, end in client.zrange(keys.LEASES, 0, -1, withscores=True)]
    assert len(ends) == 2
    assert all(now_ms < end <= now_ms + LEASE_SECONDS * 1000 for end in ends)


async def test_instance_that_registers_first_after_a_step_back_keeps_its_lease(store: Store) -> None:
    store.clock.step(-3600)
    await store.repository.register_instance(Instance("i3", "host.example", 42, "1.2.3", 1001.0))
    assert sorted(await store.live()) == ["i1", "i2", "i3"]


async def test_login_delay_ends_in_its_time_after_a_step_back(store: Store) -> None:
    assert await store.log_in("i1", "s1", DELAY_SECONDS) is LoginOutcome.OPENED
    await store.repository.exchange(Exchange("i1", 0, releases=[("alice", "s1")]))
    store.clock.step(-3600)
    assert await store.log_in("i2", "s2", DELAY_SECONDS) is LoginOutcome.TOO_SOON
    store.clock.step(DELAY_SECONDS + 1)
    assert await store.log_in("i2", "s2", DELAY_SECONDS) is LoginOutcome.OPENED


@pytest.mark.parametrize("seconds", STEPS)
async def test_api_token_ends_by_the_servers_clock(store: Store, seconds: int) -> None:
    store.clock.step(seconds)
    token = new_token()
    with store.clock.server.client() as client:
        ends_at = client.time()[0] + 600.0
    await store.repository.make_api_token("t", token_digest(token), Role.READ, ends_at=ends_at, by=OPERATOR)
    proof = Proof(OPERATOR, Role.READ, token_digest=token_digest(token))
    authenticator = Authenticator(store.repository, cheap_passwords())
    assert await authenticator.check_token(token, "192.0.2.1") is not None
    assert await proof.holds(store.repository)
    store.clock.step(601)
    assert await authenticator.check_token(token, "192.0.2.1") is None
    assert not await proof.holds(store.repository)
