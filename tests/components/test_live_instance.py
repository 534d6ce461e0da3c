"""One POP3 process towards the store: admission by `c=`, counts told once, outages, lapsed leases."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from state_store.errors import MailDirectoryRefused, StoreUnavailable
from state_store.instance import exchanges, live_instance
from state_store.instance.lease import MARGIN_SECONDS
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.records import (
    LEASE_SECONDS,
    AdmissionOutcome,
    Counters,
    Credential,
    Exchange,
    ExchangeResult,
    Instance,
    Login,
    LoginOutcome,
    SessionRow,
    Settings,
)
from state_store.redis import keys
from state_store.repository import StateRepository
from state_store.vitals import Vitals
from support.actors import OPERATOR
from support.patience import patience_with_instances
from support.stopped_clock import StoppedClock
from support.waiting import until

ADDRESS = "192.0.2.1"
ELSEWHERE = "2001:db8::1"


class TroubledRepository(StateRepository):
    """Can be taken away, can lose its answers, and can keep them back."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_away = False
        self.loses_answers = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.exchanges = 0
        self.taken = 0

    def _reach(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away on purpose")

    async def settings(self) -> Settings:
        self._reach()
        return await super().settings()

    async def register_instance(self, instance: Instance) -> None:
        self._reach()
        await super().register_instance(instance)

    async def exchange(self, exchange: Exchange, *, reap: bool = False) -> ExchangeResult:
        self.exchanges += 1
        self._reach()
        result = await super().exchange(exchange, reap=reap)
        self.taken += 1
        await self.may_answer.wait()
        if self.loses_answers:
            raise StoreUnavailable("answer lost on purpose")
        return result

    async def let_leases_lapse(self) -> None:
        for instance_id in await self._client.command("ZRANGE", keys.LEASES, 0, -1):
            await self._client.command("ZADD", keys.LEASES, 1, instance_id)


class Process:
    """A live instance and what it told its process."""

    def __init__(
        self,
        repository: StateRepository,
        clock: Callable[[], float],
        *,
        can_use: bool,
        address_limit: int,
        login_delay: int,
    ) -> None:
        self.lapses = 0
        self.changes = 0
        self.judged: list[str] = []
        self._can_use = can_use
        self.certificate_expires_at = 0.0
        self.instance = LiveInstance(
            repository,
            InstanceOptions(
                "host.example",
                42,
                "1.2.3",
                login_delay_seconds=login_delay,
                max_connections_per_address=address_limit,
            ),
            InstanceCallbacks(
                self._judge,
                self._note_change,
                self._note_lapse,
                vitals=lambda: Vitals(certificate_expires_at=self.certificate_expires_at),
            ),
            clock,
        )

    async def _judge(self, path: str) -> str:
        self.judged.append(path)
        return "" if self._can_use else "No such file or directory"

    def _note_change(self) -> None:
        self.changes += 1

    def _note_lapse(self) -> None:
        self.lapses += 1


@asynccontextmanager
async def process(
    repository: StateRepository,
    clock: Callable[[], float] = time.monotonic,
    *,
    can_use: bool = True,
    address_limit: int = 0,
    login_delay: int = 0,
) -> AsyncIterator[Process]:
    made = Process(repository, clock, can_use=can_use, address_limit=address_limit, login_delay=login_delay)
    with patience_with_instances():
        await made.instance.start()
        try:
            yield made
        finally:
            await made.instance.stop()


async def until_counters(repository: StateRepository, expected: Counters) -> None:
    deadline = time.monotonic() + 20
    while (found := await repository.counters()) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.002)


async def enter(instance: LiveInstance) -> bool:
    return instance.admit_at_once() or await instance.admit(ADDRESS) is AdmissionOutcome.ADMITTED


def login(session_id: str = "s1", username: str = "alice") -> Login:
    return Login(username, session_id, "v1", ADDRESS)


@pytest.fixture
async def repository(redis_url: str) -> AsyncIterator[TroubledRepository]:
    made = TroubledRepository(redis_url)
    await made.add_user("alice", Credential("hash", "v1"), by=OPERATOR)
    yield made
    await made.close()


def places_of_addresses(store: redis.Redis) -> list[dict[str, str]]:
    """Return what each instance has in the store under the addresses of its connections."""
    found = store.keys(keys.ADDRESSES + "*")
    assert isinstance(found, list)
    return [store.hgetall(key) for key in found]  # type: ignore[misc]


async def test_started_instance_is_known_and_a_stopped_one_is_gone(repository: TroubledRepository) -> None:
    async with process(repository) as one:
        known = (await repository.instances())[0].instance
        assert known.instance_id == one.instance.instance_id
        assert (known.host, known.process_id, known.version) == ("host.example", 42, "1.2.3")
    assert await repository.instances() == []


async def test_start_fails_while_the_store_is_away(repository: TroubledRepository) -> None:
    repository.is_away = True
    with pytest.raises(StoreUnavailable):
        async with process(repository):
            pass


async def test_session_ids_are_never_the_same(repository: TroubledRepository) -> None:
    async with process(repository) as one, process(repository) as other:
        ids = [each.instance.new_session_id() for each in (one, other) for _ in range(100)]
    assert len(set(ids)) == 200


# Admission


async def test_far_from_the_limit_connections_come_in_without_an_exchange(
    repository: TroubledRepository,
) -> None:
    async with process(repository) as one:
        assert await enter(one.instance)
        before = repository.exchanges
        assert all(one.instance.admit_at_once() for _ in range(20))
        assert repository.exchanges == before
        await until_current_connections(repository, 21, one.instance)


async def until_current_connections(
    repository: StateRepository, expected: int, instance: LiveInstance
) -> None:
    instance.counted()
    deadline = time.monotonic() + 20
    while (found := (await repository.counters()).current_connections) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.002)


async def test_exactly_the_limit_comes_in_when_fifty_wait_at_two_instances(
    repository: TroubledRepository,
) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=20)
    async with process(repository) as one, process(repository) as other:
        instances = [one.instance, other.instance]
        answers = await asyncio.gather(*(enter(instances[number % 2]) for number in range(50)))
        assert answers.count(True) == 20
        await until_current_connections(repository, 20, one.instance)
        assert one.instance.max_connections == 20


async def test_slot_that_one_instance_gives_up_can_be_had_at_the_other(
    repository: TroubledRepository,
) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=3)
    async with process(repository) as one, process(repository) as other:
        assert [await enter(one.instance) for _ in range(3)] == [True] * 3
        assert not await enter(other.instance)
        one.instance.discharge(ADDRESS)
        await until_current_connections(repository, 2, one.instance)
        assert await enter(other.instance)
        assert not await enter(one.instance)


async def test_spare_slots_of_an_instance_are_given_to_the_one_that_needs_them(
    repository: TroubledRepository,
) -> None:
    async with process(repository) as one, process(repository) as other:
        assert await enter(one.instance)
        assert await enter(other.instance)
        await repository.change_settings(by=OPERATOR, max_connections=10)
        answers = [await enter(other.instance) for _ in range(9)]
        assert answers == [True] * 8 + [False]


async def test_raised_limit_lets_more_in_and_a_lowered_one_nobody(repository: TroubledRepository) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=2)
    async with process(repository) as one:
        assert [await enter(one.instance) for _ in range(3)] == [True, True, False]
        await repository.change_settings(by=OPERATOR, max_connections=4)
        assert [await enter(one.instance) for _ in range(3)] == [True, True, False]
        await repository.change_settings(by=OPERATOR, max_connections=1)
        await until(lambda: one.instance.max_connections == 1)
        for _ in range(3):
            one.instance.discharge(ADDRESS)
            assert not await enter(one.instance)
        one.instance.discharge(ADDRESS)
        assert await enter(one.instance)


async def test_limit_holds_over_two_instances_while_it_falls_and_answers_get_lost(
    repository: TroubledRepository,
) -> None:
    async with process(repository) as one, process(repository) as other:
        assert await enter(one.instance)
        assert await enter(other.instance)
        repository.loses_answers = True
        await repository.change_settings(by=OPERATOR, max_connections=10)
        await until(lambda: one.instance._exchanges.is_away and other.instance._exchanges.is_away)
        repository.loses_answers = False
        instances = [one.instance, other.instance]
        await asyncio.gather(*(enter(instances[number % 2]) for number in range(60)), return_exceptions=True)
        await until(lambda: not one.instance._exchanges.is_away and not other.instance._exchanges.is_away)
        await asyncio.gather(*(enter(instances[number % 2]) for number in range(60)))
        await until_current_connections(repository, 10, one.instance)


# Admission by address


async def test_address_has_exactly_its_connections_over_two_instances(repository: TroubledRepository) -> None:
    async with process(repository, address_limit=4) as one, process(repository, address_limit=4) as other:
        instances = [one.instance, other.instance]
        outcomes = await asyncio.gather(*(instances[number % 2].admit(ADDRESS) for number in range(20)))
        assert outcomes.count(AdmissionOutcome.ADMITTED) == 4
        assert outcomes.count(AdmissionOutcome.ADDRESS_LIMIT_REACHED) == 16
        assert await one.instance.admit(ELSEWHERE) is AdmissionOutcome.ADMITTED


async def test_refusal_says_which_limit_is_reached(repository: TroubledRepository) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=3)
    async with process(repository, address_limit=2) as one:
        outcomes = [await one.instance.admit(address) for address in (ADDRESS, ADDRESS, ADDRESS, ELSEWHERE)]
        assert outcomes[2:] == [AdmissionOutcome.ADDRESS_LIMIT_REACHED, AdmissionOutcome.ADMITTED]
        assert await one.instance.admit(ELSEWHERE) is AdmissionOutcome.LIMIT_REACHED


async def test_address_that_has_all_its_places_here_is_refused_without_an_exchange(
    repository: TroubledRepository,
) -> None:
    async with process(repository, address_limit=1) as one:
        assert not one.instance.admit_at_once()
        assert await one.instance.admit(ADDRESS)
        before = repository.exchanges
        answer = one.instance.admit(ADDRESS)
        assert answer.result() is AdmissionOutcome.ADDRESS_LIMIT_REACHED
        assert repository.exchanges == before


async def until_admitted(instance: LiveInstance, address: str) -> None:
    deadline = time.monotonic() + 20
    while not await instance.admit(address):
        assert time.monotonic() < deadline, "no place came free"
        await asyncio.sleep(0.002)


async def test_place_that_one_instance_gives_up_can_be_had_at_the_other(
    repository: TroubledRepository,
) -> None:
    async with process(repository, address_limit=1) as one, process(repository, address_limit=1) as other:
        assert await one.instance.admit(ADDRESS)
        assert not await other.instance.admit(ADDRESS)
        one.instance.discharge(ADDRESS)
        await until_admitted(other.instance, ADDRESS)
        assert not await one.instance.admit(ADDRESS)


async def test_place_whose_answer_got_lost_comes_free(repository: TroubledRepository) -> None:
    async with process(repository, address_limit=1) as one, process(repository, address_limit=1) as other:
        repository.loses_answers = True
        with pytest.raises(StoreUnavailable):
            await one.instance.admit(ADDRESS)
        repository.loses_answers = False
        await until(lambda: not one.instance._exchanges.is_away and not other.instance._exchanges.is_away)
        await until_admitted(other.instance, ADDRESS)


async def test_place_of_one_who_went_while_it_was_asked_for_comes_free(
    repository: TroubledRepository,
) -> None:
    async with process(repository, address_limit=1) as one, process(repository, address_limit=1) as other:
        repository.may_answer.clear()
        before = repository.taken
        gone = one.instance.admit(ADDRESS)
        await until(lambda: repository.taken > before)
        assert gone.cancel()
        repository.may_answer.set()
        await until_admitted(other.instance, ADDRESS)


async def test_lapsed_instance_tells_its_addresses_anew(
    repository: TroubledRepository, behind_the_scenes: redis.Redis
) -> None:
    async with process(repository, address_limit=2) as one, process(repository, address_limit=2) as other:
        assert await one.instance.admit(ADDRESS)
        assert await one.instance.admit(ADDRESS)
        await repository.let_leases_lapse()
        one.instance.counted()
        await until(lambda: one.lapses == 1)
        await until(lambda: {ADDRESS: "2"} in places_of_addresses(behind_the_scenes))
        other.instance.counted()
        await until(lambda: other.lapses == 1)
        assert not await other.instance.admit(ADDRESS)
        for _ in range(2):
            one.instance.discharge(ADDRESS)
        await until_admitted(other.instance, ADDRESS)


async def test_without_a_limit_an_exchange_says_nothing_of_addresses(
    repository: TroubledRepository, behind_the_scenes: redis.Redis
) -> None:
    async with process(repository) as one:
        assert all([await one.instance.admit(ADDRESS) for _ in range(3)])
        assert one.instance.admit_at_once()
        assert places_of_addresses(behind_the_scenes) == []


# The login delay


async def test_second_login_within_the_delay_is_too_soon_at_every_instance(
    repository: TroubledRepository,
) -> None:
    async with process(repository, login_delay=60) as one, process(repository, login_delay=60) as other:
        assert await one.instance.lock_maildrop(login("s1")) is LoginOutcome.OPENED
        assert await other.instance.lock_maildrop(login("s2")) is LoginOutcome.IN_USE
        one.instance.release_maildrop("alice", "s1")
        deadline = time.monotonic() + 20
        while (outcome := await other.instance.lock_maildrop(login("s3"))) is LoginOutcome.IN_USE:
            assert time.monotonic() < deadline
        assert outcome is LoginOutcome.TOO_SOON


@pytest.mark.parametrize("is_lost", [True, False])
async def test_login_that_failed_after_its_lock_delays_nobody(
    repository: TroubledRepository, is_lost: bool
) -> None:
    async with process(repository, login_delay=60) as one:
        if is_lost:
            repository.loses_answers = True
            with pytest.raises(StoreUnavailable):
                await one.instance.lock_maildrop(login("s1"))
            repository.loses_answers = False
            await until(lambda: not one.instance._exchanges.is_away)
        else:
            assert await one.instance.lock_maildrop(login("s1")) is LoginOutcome.OPENED
            one.instance.withdraw_login("alice", "s1")
        assert await one.instance.lock_maildrop(login("s2")) is LoginOutcome.OPENED


# Counts, sessions, locks


async def test_counts_and_sessions_are_seen_soon(repository: TroubledRepository) -> None:
    assert exchanges.COUNTS_SECONDS < 0.1
    async with process(repository) as one:
        assert await enter(one.instance)
        began = time.monotonic()
        row = SessionRow("s1", one.instance.instance_id, None, ADDRESS, 1000.0)
        one.instance.session_opened("s1", lambda: row)
        one.instance.deltas.retrieved_bytes += 5
        one.instance.counted()
        await until_counters(repository, Counters(retrieved_bytes=5, current_connections=1))
        while not await repository.sessions():
            assert time.monotonic() < began + 20
            await asyncio.sleep(0.002)
        one.instance.session_closed("s1")
        one.instance.discharge(ADDRESS)
        await until_counters(repository, Counters(retrieved_bytes=5))
        while await repository.sessions():
            assert time.monotonic() < began + 20
            await asyncio.sleep(0.002)


async def test_locks_of_many_connections_travel_in_one_exchange(repository: TroubledRepository) -> None:
    names = [f"user{number}" for number in range(30)]
    for name in names:
        await repository.add_user(name, Credential("hash", "v1"), by=OPERATOR)
    async with process(repository) as one:
        before = repository.exchanges
        outcomes = await asyncio.gather(*(one.instance.lock_maildrop(login(name, name)) for name in names))
        assert set(outcomes) == {LoginOutcome.OPENED}
        assert repository.exchanges - before <= 3


async def test_maildrop_is_in_use_at_the_other_instance_until_it_is_released(
    repository: TroubledRepository,
) -> None:
    async with process(repository) as one, process(repository) as other:
        assert await one.instance.lock_maildrop(login("s1")) is LoginOutcome.OPENED
        assert await other.instance.lock_maildrop(login("s2")) is LoginOutcome.IN_USE
        one.instance.release_maildrop("alice", "s1")
        deadline = time.monotonic() + 20
        while await repository.logged_in_users():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.002)
        assert await other.instance.lock_maildrop(login("s2")) is LoginOutcome.OPENED


async def test_stop_tells_the_last_counts(repository: TroubledRepository) -> None:
    async with process(repository) as one:
        one.instance.deltas.logins += 2
        one.instance.counted()
    assert await repository.counters() == Counters(historical_logins=2)


async def test_stop_waits_for_a_store_that_is_away_as_long_as_its_caller_has_patience(
    repository: TroubledRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges, "FAREWELL_SECONDS", 0.05)
    async with process(repository) as one:
        repository.is_away = True
        one.instance.deltas.logins += 2
        one.instance.counted()
        stopping = asyncio.create_task(one.instance.stop(patience_seconds=30))
        assert await asyncio.wait([stopping], timeout=0.3) == (set(), {stopping})
        repository.is_away = False
        await stopping
    assert await repository.counters() == Counters(historical_logins=2)


# Outages


async def test_nothing_is_lost_while_the_store_is_away(repository: TroubledRepository) -> None:
    async with process(repository) as one:
        assert await enter(one.instance)
        repository.is_away = True
        for _ in range(10):
            one.instance.deltas.retrieved_bytes += 1
            one.instance.deltas.logins += 1
            one.instance.counted()
            await asyncio.sleep(0)
        await until(lambda: one.instance._exchanges.is_away)
        one.instance.deltas.retrieved_bytes += 100
        repository.is_away = False
        await until_counters(
            repository, Counters(retrieved_bytes=110, historical_logins=10, current_connections=1)
        )
        assert one.lapses == 0
        await until(lambda: not one.instance._exchanges.is_away)


async def test_nothing_is_counted_twice_when_answers_get_lost(repository: TroubledRepository) -> None:
    async with process(repository) as one:
        repository.loses_answers = True
        one.instance.deltas.removed_emails += 3
        one.instance.counted()
        await until(lambda: one.instance._exchanges.is_away)
        one.instance.deltas.removed_emails += 4
        before = repository.exchanges
        await until(lambda: repository.exchanges >= before + 2)
        repository.loses_answers = False
        await until_counters(repository, Counters(removed_emails=7))
        await until(lambda: not one.instance._exchanges.is_away)
    assert await repository.counters() == Counters(removed_emails=7)


async def test_logins_and_admissions_fail_at_once_while_the_store_is_away(
    repository: TroubledRepository,
) -> None:
    async with process(repository) as one:
        assert await one.instance.lock_maildrop(login("s1")) is LoginOutcome.OPENED
        repository.is_away = True
        with pytest.raises(StoreUnavailable):
            await one.instance.lock_maildrop(login("s2"))
        await until(lambda: one.instance._exchanges.is_away)
        while one.instance.admit_at_once():
            pass
        before = repository.exchanges
        with pytest.raises(StoreUnavailable):
            await one.instance.lock_maildrop(login("s3"))
        with pytest.raises(StoreUnavailable):
            await one.instance.admit(ADDRESS)
        assert repository.exchanges == before
        repository.is_away = False
        await until(lambda: not one.instance._exchanges.is_away)
        assert await one.instance.lock_maildrop(login("s1")) is LoginOutcome.OPENED


async def test_lock_whose_answer_got_lost_is_given_back(repository: TroubledRepository) -> None:
    async with process(repository) as one:
        repository.loses_answers = True
        with pytest.raises(StoreUnavailable):
            await one.instance.lock_maildrop(login("s1"))
        assert await repository.logged_in_users() == ["alice"]
        repository.loses_answers = False
        deadline = time.monotonic() + 20
        while await repository.logged_in_users():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.002)


# Leases


async def test_lapsed_lease_is_told_and_the_instance_starts_over_under_a_new_id(
    repository: TroubledRepository,
) -> None:
    async with process(repository) as one:
        assert await one.instance.lock_maildrop(login("s1")) is LoginOutcome.OPENED
        old = one.instance.instance_id
        one.instance.deltas.retrieved_emails += 2
        await repository.let_leases_lapse()
        one.instance.counted()
        await until(lambda: one.lapses == 1)
        await until(lambda: one.instance._lease.is_held)
        assert one.instance.instance_id != old
        await until_counters(repository, Counters(retrieved_emails=2))
        assert [live.instance.instance_id for live in await repository.instances()] == [
            one.instance.instance_id
        ]
        assert await one.instance.lock_maildrop(login("s2")) is LoginOutcome.OPENED


async def test_counts_whose_answer_got_lost_before_the_lease_lapsed_count_once(
    repository: TroubledRepository,
) -> None:
    async with process(repository) as one:
        repository.loses_answers = True
        one.instance.deltas.logins += 5
        one.instance.counted()
        await until(lambda: one.instance._exchanges.is_away)
        one.instance.deltas.logins += 6
        await repository.let_leases_lapse()
        repository.loses_answers = False
        await until(lambda: one.lapses == 1)
        await until_counters(repository, Counters(historical_logins=11))
    assert await repository.counters() == Counters(historical_logins=11)


async def test_lease_that_lapsed_during_an_outage_is_begun_anew_after_it(
    repository: TroubledRepository,
) -> None:
    async with process(repository) as one:
        repository.is_away = True
        one.instance.deltas.logins += 1
        one.instance.counted()
        await until(lambda: one.instance._exchanges.is_away)
        await repository.let_leases_lapse()
        repository.is_away = False
        await until(lambda: one.lapses == 1)
        await until_counters(repository, Counters(historical_logins=1))
        assert await enter(one.instance)


async def test_lease_surely_holds_only_until_a_margin_before_its_end(repository: TroubledRepository) -> None:
    clock = StoppedClock()
    async with process(repository, clock) as one:
        assert one.instance._lease.is_held
        repository.is_away = True
        clock.seconds += LEASE_SECONDS - MARGIN_SECONDS - 0.01
        assert one.instance._lease.is_held
        clock.seconds += 0.02
        assert not one.instance._lease.is_held
        repository.is_away = False
        one.instance.counted()
        await until(lambda: one.instance._lease.is_held)


# Settings and mail directories


async def test_changed_settings_are_taken_and_told(repository: TroubledRepository) -> None:
    async with process(repository) as one:
        told = one.changes
        await repository.change_settings(by=OPERATOR, timeout_seconds=30)
        assert one.instance.settings.timeout_seconds == 30
        assert one.changes == told + 1


async def test_settings_changed_while_nobody_listened_come_with_the_next_answer(
    repository: TroubledRepository, behind_the_scenes: redis.Redis
) -> None:
    async with process(repository) as one:
        behind_the_scenes.hset(keys.SETTINGS, "timeout_seconds", 31)
        behind_the_scenes.hincrby(keys.SETTINGS, "version", 1)
        one.instance.deltas.logins += 1
        one.instance.counted()
        await until(lambda: one.instance.settings.timeout_seconds == 31)


async def test_mail_directory_is_set_when_every_instance_can_use_it(repository: TroubledRepository) -> None:
    async with process(repository) as one, process(repository) as other:
        await repository.change_settings(by=OPERATOR, mail_directory="/srv/mail")
        assert one.judged == other.judged == ["/srv/mail"]
        await until(lambda: one.instance.settings.mail_directory == "/srv/mail")


async def test_mail_directory_is_refused_when_one_instance_cannot_use_it(
    repository: TroubledRepository,
) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(process(repository))
        await stack.enter_async_context(process(repository, can_use=False))
        with pytest.raises(MailDirectoryRefused) as refused:
            await repository.change_settings(by=OPERATOR, mail_directory="/srv/mail")
        (fault,) = refused.value.faults
        assert re.fullmatch(r"host\.example, process 42 \(instance \w+\): No such file or directory", fault)


# The certificate


async def certificates_of(repository: StateRepository) -> list[float]:
    return [status.certificate_expires_at for status in await repository.instances()]


async def test_a_new_certificate_is_told_with_the_next_renewal(
    repository: TroubledRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges, "RENEWAL_SECONDS", 0.01)
    async with process(repository) as made:
        assert await certificates_of(repository) == [0.0]
        made.certificate_expires_at = 1_900_000_000.0
        deadline = time.monotonic() + 20
        while await certificates_of(repository) != [1_900_000_000.0]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.002)
        await repository.let_leases_lapse()
        await until(lambda: made.lapses == 1)
        while await certificates_of(repository) != [1_900_000_000.0]:
            assert time.monotonic() < deadline, "the next instance id has it too"
            await asyncio.sleep(0.002)


async def test_a_store_that_takes_no_vitals_refuses_nobody_and_is_told_of_once(
    repository: TroubledRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges, "RENEWAL_SECONDS", 0.01)
    refused = 0

    async def refuse(instance_id: str, vitals: Vitals) -> None:
        nonlocal refused
        refused += 1
        raise StoreUnavailable("unknown command")

    monkeypatch.setattr(repository, "note_vitals", refuse)
    with capture_logs() as events:
        async with process(repository) as made:
            await until(lambda: refused > 5)
            assert await made.instance.admit(ADDRESS) is AdmissionOutcome.ADMITTED
            made.instance.discharge(ADDRESS)
    told = [event["reason"] for event in events if event["event"] == "health and history are not written"]
    assert told == ["unknown command"]
    assert "state store is away" not in [event["event"] for event in events]


# What nobody foresaw


async def test_a_notification_of_a_later_version_is_not_heeded_and_stops_nothing(
    repository: TroubledRepository, behind_the_scenes: redis.Redis
) -> None:
    async with process(repository) as one:
        behind_the_scenes.publish(keys.EVENTS, "of-a-later-version some thing")
        await repository.change_settings(by=OPERATOR, mail_directory="/srv/mail")
        assert one.judged == ["/srv/mail"]


async def test_what_cannot_be_read_in_the_store_is_told_and_keeps_nobody_waiting(
    repository: TroubledRepository, behind_the_scenes: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_instance, "BUG_SECONDS", 0.01)
    with capture_logs() as events:
        async with process(repository) as one:
            behind_the_scenes.hset(keys.SETTINGS, mapping={"timeout_seconds": "soon", "version": 7})
            for session in range(3):
                locked = one.instance.lock_maildrop(login(f"s{session}"))
                assert await asyncio.wait_for(locked, 20) is LoginOutcome.OPENED
                one.instance.release_maildrop("alice", f"s{session}")
            await until(lambda: any(event["event"] == "bug" for event in events))
            behind_the_scenes.hset(keys.SETTINGS, "timeout_seconds", 77)
            await until(lambda: one.instance.settings.timeout_seconds == 77)


async def test_an_answer_that_nobody_understands_refuses_logins_instead_of_keeping_them(
    repository: TroubledRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_instance, "BUG_SECONDS", 0.01)
    exchange = repository.exchange

    async def misunderstood(*arguments: Any, **named: Any) -> ExchangeResult:
        await exchange(*arguments, **named)
        raise ValueError("an outcome of a later version")

    async with process(repository) as one:
        with capture_logs() as events, monkeypatch.context() as later:
            later.setattr(repository, "exchange", misunderstood)
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    await asyncio.wait_for(one.instance.lock_maildrop(login()), 20)
        assert "bug" in [event["event"] for event in events]
        assert await asyncio.wait_for(one.instance.lock_maildrop(login()), 20) is LoginOutcome.OPENED
