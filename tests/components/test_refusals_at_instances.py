"""POP3 processes towards the refusals in force: they go by them at once, whatever gets lost meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import redis

from state_store.errors import StoreUnavailable
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import Credential, Login, LoginOutcome, Settings
from state_store.redis import keys
from state_store.refusals import NewRefusal, RefusalKind, refusal_id
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.patience import no_patience_with_instances, patience_with_instances
from support.waiting import until

GUESSER = "198.51.100.7"


class Process:
    """A live instance, and the sessions that it was to close."""

    def __init__(self, repository: StateRepository) -> None:
        self.closed: dict[str, str] = {}
        self.to_close: list[str] = []
        self.changes_of_settings = 0
        self.may_close = asyncio.Event()
        self.may_close.set()

        async def directory_fault(_path: str) -> str:
            return ""

        callbacks = InstanceCallbacks(
            directory_fault,
            settings_changed=self._note_change,
            close_session=self.to_close.append,
            lease_lapsed=lambda: None,
            refusals_changed=self._close,
            is_trusted=lambda address: address == "127.0.0.1",
        )
        self.instance = LiveInstance(repository, InstanceOptions("host.example", 42, "1.2.3"), callbacks)

    def _note_change(self) -> None:
        self.changes_of_settings += 1

    async def _close(self, suspended: Mapping[str, str]) -> None:
        await self.may_close.wait()
        self.closed |= suspended

    async def log_in(self, session_id: str) -> LoginOutcome:
        return await self.instance.lock_maildrop(Login("alice", session_id, "v1", "192.0.2.1"))


@asynccontextmanager
async def process(repository: StateRepository) -> AsyncIterator[Process]:
    made = Process(repository)
    with patience_with_instances():
        await made.instance.start()
        try:
            yield made
        finally:
            made.may_close.set()
            await made.instance.stop()


@pytest.fixture
async def store(repository: StateRepository) -> StateRepository:
    """Give a store with a user."""
    await repository.add_user("alice", Credential("$argon2id$one", "v1"), by=OPERATOR)
    return repository


def set_behind_the_scenes(behind_the_scenes: redis.Redis, kind: str, subject: str) -> None:
    refusal = refusal_id(RefusalKind(kind), subject)
    behind_the_scenes.hset(keys.REFUSALS, refusal, f"{kind}\n{subject}\n1\n0\nroot\nguesses")
    behind_the_scenes.zadd(keys.REFUSAL_NAMES, {f"{kind} {subject}": 0})


async def ban(store: StateRepository, network: str, reason: str = "guesses") -> bool:
    return (await store.refuse([NewRefusal(RefusalKind.BAN, network, reason)], by=OPERATOR)).is_obeyed


async def test_a_ban_holds_at_every_instance_when_it_is_answered_until_it_is_lifted(
    store: StateRepository,
) -> None:
    async with process(store) as one, process(store) as other:
        assert await ban(store, "198.51.100.0/24")
        for it in (one, other):
            assert it.instance.networks.ban_on(GUESSER) == "guesses"
            assert it.instance.networks.ban_on("192.0.2.1") is None
        assert await store.lift_refusal(refusal_id(RefusalKind.BAN, "198.51.100.0/24"), by=OPERATOR)
        assert [it.instance.networks.ban_on(GUESSER) for it in (one, other)] == [None, None]


async def test_an_exemption_wins_whatever_is_banned_and_so_does_a_trusted_network(
    store: StateRepository,
) -> None:
    async with process(store) as one:
        exempt = NewRefusal(RefusalKind.EXEMPT, "198.51.100.0/24", "the office")
        await store.refuse([exempt], by=OPERATOR)
        assert await ban(store, GUESSER)
        assert await ban(store, "127.0.0.0/8")
        networks = one.instance.networks
        assert networks.ban_on(GUESSER) is None
        assert networks.ban_on("127.0.0.1") is None
        assert networks.ban_on("127.0.0.2") == "guesses"
        assert [networks.is_exempt(address) for address in (GUESSER, "127.0.0.1", "192.0.2.1")] == [
            True,
            True,
            False,
        ]


async def test_a_suspension_closes_the_session_of_its_user_at_the_instance_that_has_it(
    store: StateRepository,
) -> None:
    async with process(store) as one, process(store) as other:
        assert await one.log_in("s1") is LoginOutcome.OPENED
        done = await store.refuse([NewRefusal(RefusalKind.SUSPEND, "alice", "not paid")], by=OPERATOR)
        assert done.is_obeyed
        assert (one.closed, other.closed) == ({"s1": "not paid"}, {})
        assert await other.log_in("s2") is LoginOutcome.CREDENTIAL_CHANGED


async def test_an_instance_that_has_not_obeyed_in_time_is_told_of(store: StateRepository) -> None:
    async with process(store) as one:
        one.may_close.clear()
        with no_patience_with_instances():
            assert not await ban(store, GUESSER)


async def test_a_ban_whose_notification_was_lost_comes_with_the_next_answer(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    async with process(store) as one:
        await ban(store, "192.0.2.200")
        # As a script leaves it whose notification did not arrive.
        set_behind_the_scenes(behind_the_scenes, "ban", GUESSER)
        behind_the_scenes.hincrby(keys.SETTINGS, "refusals_version", 1)
        behind_the_scenes.hincrby(keys.SETTINGS, "version", 1)
        assert one.instance.networks.ban_on(GUESSER) is None
        one.instance.counted()
        await until(lambda: one.instance.networks.ban_on(GUESSER) is not None)


async def test_what_another_server_has_counted_on_from_the_same_version_is_read_anew(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    async with process(store) as one:
        assert await ban(store, GUESSER)
        # As a failover leaves it: one refusal was lost, another one has come, and the version is the same.
        behind_the_scenes.delete(keys.REFUSALS, keys.REFUSAL_NAMES)
        behind_the_scenes.client_kill_filter(_type="pubsub")
        await until(lambda: one.instance.networks.ban_on(GUESSER) is None)


async def test_refusals_that_were_being_read_when_the_connection_was_cut_are_read_anew(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    async with process(store) as one:
        behind_the_scenes.publish(keys.EVENTS, "close nobody's")
        await until(lambda: bool(one.to_close))  # so its listener is not reading the refusals itself
        one.may_close.clear()
        set_behind_the_scenes(behind_the_scenes, "ban", GUESSER)
        behind_the_scenes.hincrby(keys.SETTINGS, "refusals_version", 1)
        behind_the_scenes.hincrby(keys.SETTINGS, "version", 1)
        one.instance.counted()  # the next answer tells the new version
        await until(lambda: one.instance.networks.ban_on(GUESSER) is not None)
        listener = {client["id"] for client in behind_the_scenes.client_list(_type="pubsub")}
        behind_the_scenes.client_kill_filter(_type="pubsub")

        def listens_again() -> bool:
            found = {client["id"] for client in behind_the_scenes.client_list(_type="pubsub")}
            return bool(found - listener)

        await until(listens_again)
        # Another master has this version too, without that ban.
        behind_the_scenes.delete(keys.REFUSALS, keys.REFUSAL_NAMES)
        one.may_close.set()
        await until(lambda: one.instance.networks.ban_on(GUESSER) is None)


async def test_a_change_of_refusals_alone_is_no_change_of_settings(store: StateRepository) -> None:
    async with process(store) as one:
        before = one.changes_of_settings
        assert await ban(store, GUESSER)
        assert one.changes_of_settings == before
        await store.change_settings(timeout_seconds=77, by=OPERATOR)
        assert one.changes_of_settings == before + 1


async def test_a_mark_that_an_earlier_state_api_has_wiped_is_set_again_when_an_instance_starts(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await store.refuse([NewRefusal(RefusalKind.SUSPEND, "alice", "not paid")], by=OPERATOR)
    behind_the_scenes.hset(keys.CREDENTIALS, "alice", "v1 $argon2id$one")
    async with process(store) as one:
        assert await one.log_in("s1") is LoginOutcome.CREDENTIAL_CHANGED


async def test_a_new_instance_goes_by_the_refusals_before_it_takes_connections(
    store: StateRepository,
) -> None:
    await ban(store, GUESSER)
    async with process(store) as one:
        assert one.instance.networks.ban_on(GUESSER) == "guesses"


async def test_refusals_that_could_not_be_read_after_a_reconnection_are_read_with_the_next_exchange(
    repository: StateRepository, behind_the_scenes: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failed = repository.settings, asyncio.Event()

    async def away() -> Settings:
        failed.set()
        raise StoreUnavailable("not yet")

    async with process(repository) as one:
        monkeypatch.setattr(repository, "settings", away)
        # Another master has counted on to the same version, with a ban that was never heard of here.
        set_behind_the_scenes(behind_the_scenes, "ban", GUESSER)
        behind_the_scenes.client_kill_filter(_type="pubsub")
        await asyncio.wait_for(failed.wait(), 20)
        monkeypatch.setattr(repository, "settings", read)
        await until(lambda: one.instance.networks.ban_on(GUESSER) == "guesses")
