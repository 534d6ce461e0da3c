"""Whatever happens to users in whatever order: nobody gets an old password back, and the counts are exact."""

import asyncio
from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from state_store.records import Credential, HashCounts
from state_store.repository import StateRepository
from support.actors import OPERATOR

NAMES = st.sampled_from(["alice", "bob"])
KINDS = st.sampled_from(["SSHA", "BLF-CRYPT,12", "SHA512-CRYPT,8192"])


class Users(RuleBasedStateMachine):
    """Compares the store with a dictionary. A hash is its password's name, behind its kind if imported."""

    redis_url = ""
    behind_the_scenes: redis.Redis
    checked = Bundle("checked")
    """Credentials that a login has read: it renews them later, if at all."""

    def __init__(self) -> None:
        super().__init__()
        self.behind_the_scenes.flushall()
        self.loop = asyncio.new_event_loop()
        self.store = StateRepository(self.redis_url)
        self.credentials: dict[str, Credential] = {}
        self.versions = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.close()

    def new(self, kind: str = "") -> Credential:
        self.versions += 1
        mark = f"{{{kind}}}" if kind else ""
        return Credential(f"{mark}password{self.versions}", f"v{self.versions}", "" if kind else "verifier")

    @rule(name=NAMES, kind=KINDS, update=st.booleans())
    def import_user(self, name: str, kind: str, update: bool) -> None:
        credential = self.new(kind)
        self.loop.run_until_complete(self.store.add_users([(name, credential)], update=update, by=OPERATOR))
        if update or name not in self.credentials:
            self.credentials[name] = credential

    @rule(name=NAMES)
    def change_password(self, name: str) -> None:
        if name in self.credentials:
            self.credentials[name] = self.new()
            self.loop.run_until_complete(self.store.set_credential(name, self.credentials[name], by=OPERATOR))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if self.credentials.pop(name, None):
            self.loop.run_until_complete(self.store.remove_user(name, by=OPERATOR))

    @rule(target=checked, name=NAMES)
    def check(self, name: str) -> tuple[str, Credential | None]:
        return name, self.loop.run_until_complete(self.store.credential(name))

    @rule(found=checked, times=st.integers(1, 2))
    def renew(self, found: tuple[str, Credential | None], times: int) -> None:
        name, credential = found
        if credential is None or not credential.password_hash.startswith("{"):
            return
        renewed = Credential(credential.password_hash.partition("}")[2], credential.version, "verifier")
        for _ in range(times):
            self.loop.run_until_complete(self.store.renew_credential(name, renewed))
        if self.credentials.get(name) == credential:
            self.credentials[name] = renewed

    @invariant()
    def store_is_as_expected(self) -> None:
        names = sorted(self.credentials)
        found = self.loop.run_until_complete(self.store.credentials(names))
        assert dict(zip(names, found, strict=True)) == self.credentials
        kinds = [one.password_hash[1:].partition("}")[0] for one in found if one and one.scram_verifier == ""]
        counts = HashCounts(len(names), {kind: kinds.count(kind) for kind in kinds})
        assert self.loop.run_until_complete(self.store.hash_counts()) == counts


@pytest.fixture
def machine(redis_url: str, behind_the_scenes: redis.Redis) -> Iterator[type[Users]]:
    Users.redis_url, Users.behind_the_scenes = redis_url, behind_the_scenes
    yield Users
    del Users.behind_the_scenes


def test_no_order_of_changes_brings_an_old_password_back(machine: type[Users]) -> None:
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=20))
