"""Passwords under the rule for wrong ones (P18): who waits, for whom, and what is left of who has gone."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterator

import pytest
import redis

from state_store.credentials import guard, passwords
from state_store.credentials.attempts import Attempt, Decision, Outcome, RefusalReason
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.credentials.presence import Presence
from state_store.errors import SlowedDown, StoreUnavailable
from state_store.records import Credential
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.allowances import leave_nothing
from support.redis_server import RedisServer
from support.waiting import until

ADDRESS = "127.0.0.1"
ELSEWHERE = "192.0.2.9"
PATIENCE_SECONDS = 0.3


class WatchedRepository(StateRepository):
    """Remembers what it was asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[str] = []
        self.outcomes: list[Outcome] = []

    async def begin_attempt(
        self,
        attempt: Attempt,
        *,
        ahead: Collection[str] = (),
        is_first: bool = True,
        as_unknown: bool = False,
    ) -> Decision:
        self.asked.append("begin_attempt")
        return await super().begin_attempt(attempt, ahead=ahead, is_first=is_first, as_unknown=as_unknown)

    async def end_attempt(
        self, attempt: Attempt, decision: Decision, outcome: Outcome, reason: RefusalReason | None = None
    ) -> None:
        self.asked.append("end_attempt")
        self.outcomes.append(outcome)
        await super().end_attempt(attempt, decision, outcome, reason)

    async def credential(self, username: str) -> Credential | None:
        self.asked.append("credential")
        return await super().credential(username)


class HeldPasswords(Passwords):
    """Lets a test hold the checks of strangers, and see which passwords were checked."""

    def __init__(self) -> None:
        super().__init__(memory_kibibytes=8)  # the least there is
        self.checked: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def _matches(self, password_hash: str, password: str, kinds: Collection[str]) -> bool:
        if threading.current_thread().name.startswith("argon2-strangers"):
            self.go_on.wait(20)
        self.checked.append(password)
        return password == "secret"


@pytest.fixture
def held() -> Iterator[HeldPasswords]:
    made = HeldPasswords()
    yield made
    made.go_on.set()
    made.close()


@pytest.fixture
async def repository(redis_url: str) -> AsyncIterator[WatchedRepository]:
    made = WatchedRepository(redis_url)
    await made.add_user("alice", Credential("$argon2id$any", "v1"), by=OPERATOR)
    yield made
    await made.close()


@pytest.fixture
def authenticator(repository: WatchedRepository, held: HeldPasswords) -> Authenticator:
    return Authenticator(repository, held, patience_seconds=PATIENCE_SECONDS)


async def refused(check: "asyncio.Future[object]") -> bool:
    try:
        await check
    except SlowedDown:
        return True
    return False


async def test_known_pair_logs_in_while_its_network_has_nothing_left_and_a_stranger_waits(
    authenticator: Authenticator, behind_the_scenes: redis.Redis
) -> None:
    assert await authenticator.check_user("alice", "secret", ADDRESS) == "v1"
    leave_nothing(behind_the_scenes)
    assert await authenticator.check_user("alice", "secret", ADDRESS) == "v1"
    with pytest.raises(SlowedDown):
        await authenticator.check_user("bob", "secret", ADDRESS)
    assert await authenticator.check_user("bob", "secret", ELSEWHERE) is RefusalReason.UNKNOWN_USER


async def test_wrong_password_of_a_known_pair_waits_as_long_as_one_of_nobody(
    authenticator: Authenticator, behind_the_scenes: redis.Redis, held: HeldPasswords
) -> None:
    await authenticator.check_user("alice", "secret", ADDRESS)
    leave_nothing(behind_the_scenes)
    for name in ("alice", "nobody"):
        began = time.monotonic()
        with pytest.raises(SlowedDown):
            await authenticator.check_user(name, "wrong", ADDRESS)
        assert time.monotonic() - began >= PATIENCE_SECONDS


async def test_nobodys_name_asks_the_store_what_a_users_does_also_when_it_comes_again(
    authenticator: Authenticator, repository: WatchedRepository, held: HeldPasswords
) -> None:
    asked, checks = [], []
    await authenticator.check_user("alice", "secret", ADDRESS)  # a known pair
    await authenticator.check_user("nobody", "another", ADDRESS)
    for name in ("alice", "nobody"):
        for _ in range(2):
            repository.asked.clear()
            held.checked.clear()
            await authenticator.check_user(name, "wrong", ADDRESS)
            asked.append([*repository.asked])
            checks.append(len(held.checked))
    whole = ["begin_attempt", "credential", "end_attempt"]
    assert asked == [whole, ["begin_attempt"]] * 2
    assert checks == [1, 0] * 2


async def test_of_those_who_wait_only_the_first_asks_the_store_again(
    authenticator: Authenticator, repository: WatchedRepository, behind_the_scenes: redis.Redis
) -> None:
    leave_nothing(behind_the_scenes)
    crowd = guard.LINE_LENGTH
    checks = [
        asyncio.ensure_future(authenticator.check_user(f"user{number}", "wrong", ADDRESS))
        for number in range(crowd)
    ]
    assert all([await refused(check) for check in checks])  # type: ignore[arg-type]
    # Each asks once, and once more who becomes the first while the others give up.
    assert repository.asked.count("begin_attempt") <= 2 * crowd
    assert authenticator._guard._lines == {}


async def test_more_than_a_line_holds_are_refused_at_once(
    repository: WatchedRepository, held: HeldPasswords, behind_the_scenes: redis.Redis
) -> None:
    patient = Authenticator(repository, held, patience_seconds=60)
    leave_nothing(behind_the_scenes)
    presences = [Presence() for _ in range(guard.LINE_LENGTH)]
    waiting = [
        asyncio.ensure_future(patient.check_user(f"user{number}", "wrong", ADDRESS, presence))
        for number, presence in enumerate(presences)
    ]
    await until(lambda: any(len(line) == guard.LINE_LENGTH for line in patient._guard._lines.values()))
    async with asyncio.timeout(20):
        with pytest.raises(SlowedDown):
            await patient.check_user("one more", "wrong", ADDRESS)
        for presence in presences:
            presence.leave()
        assert all([await refused(check) for check in waiting])  # type: ignore[arg-type]
    assert patient._guard._lines == {}


async def test_who_leaves_while_it_waits_leaves_nothing_behind_and_the_next_is_the_first(
    repository: WatchedRepository, held: HeldPasswords, behind_the_scenes: redis.Redis
) -> None:
    patient = Authenticator(repository, held, patience_seconds=60)
    leave_nothing(behind_the_scenes)
    gone = asyncio.create_task(patient.check_user("alice", "wrong", ADDRESS))
    await until(lambda: bool(patient._guard._lines))
    staying = asyncio.create_task(patient.check_user("alice", "secret", ADDRESS))
    await until(lambda: sum(map(len, patient._guard._lines.values())) == 2)
    gone.cancel()
    await until(lambda: sum(map(len, patient._guard._lines.values())) == 1)
    (shown,) = await repository.slow_downs()
    await repository.lift_slow_down(shown.slow_down_id, by=OPERATOR)
    async with asyncio.timeout(20):
        assert await staying == "v1"
    assert patient._guard._lines == {}
    assert "wrong" not in held.checked


async def test_right_passwords_that_come_all_at_once_are_soon_all_answered(
    repository: WatchedRepository, held: HeldPasswords
) -> None:
    patient = Authenticator(repository, held, patience_seconds=60)
    names = [f"user{number}" for number in range(60)]
    for name in names:
        await repository.add_user(name, Credential("$argon2id$any", "v1"), by=OPERATOR)
    async with asyncio.timeout(20):  # with three seconds for each of forty it would be two minutes
        answers = await asyncio.gather(*(patient.check_user(name, "secret", ADDRESS) for name in names))
    assert set(answers) == {"v1"}
    assert await repository.slow_downs() == []


async def test_stranger_who_has_gone_before_its_check_is_not_checked_and_costs_nothing(
    repository: WatchedRepository, held: HeldPasswords
) -> None:
    patient = Authenticator(repository, held, patience_seconds=60)
    held.go_on.clear()
    presences = [Presence() for _ in range(19)]
    checks = [
        asyncio.ensure_future(patient.check_user("alice", f"wrong{number}", ADDRESS, presence))
        for number, presence in enumerate(presences)
    ]
    await until(lambda: held._strangers == len(checks))
    for presence in presences[1:]:
        presence.leave()
    for check in checks[1:]:
        assert await refused(check)  # type: ignore[arg-type]
    held.go_on.set()
    assert await checks[0] is RefusalReason.WRONG_PASSWORD
    assert held.checked == ["wrong0"]
    assert sorted(outcome.value for outcome in repository.outcomes) == ["unchecked"] * 18 + ["wrong"]


async def test_known_pair_waits_for_no_strangers_check_and_too_many_strangers_are_refused(
    repository: WatchedRepository, held: HeldPasswords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WAITING_STRANGERS", 3)
    patient = Authenticator(repository, held, patience_seconds=60)
    await patient.check_user("alice", "secret", ADDRESS)
    held.forget("alice")
    held.go_on.clear()
    strangers = [
        asyncio.ensure_future(patient.check_user("bob", f"wrong{number}", ELSEWHERE)) for number in range(4)
    ]
    await until(lambda: held._strangers == 4)
    async with asyncio.timeout(20):
        with pytest.raises(SlowedDown):
            await patient.check_user("bob", "wrong", ELSEWHERE)
        assert await patient.check_user("alice", "secret", ADDRESS) == "v1"
    held.go_on.set()
    assert set(await asyncio.gather(*strangers)) == {RefusalReason.UNKNOWN_USER}


async def test_trusted_network_waits_for_nothing(
    repository: WatchedRepository, held: HeldPasswords, behind_the_scenes: redis.Redis
) -> None:
    trusting = Authenticator(repository, held, is_trusted=lambda address: address == ADDRESS)
    leave_nothing(behind_the_scenes)
    for number in range(30):
        answer = await trusting.check_user("alice", f"wrong{number}", ADDRESS)
        assert answer is RefusalReason.WRONG_PASSWORD


async def test_administrator_who_is_remembered_is_not_taken_from_a_network_that_does_not_know_it(
    authenticator: Authenticator,
    repository: WatchedRepository,
    held: HeldPasswords,
    behind_the_scenes: redis.Redis,
) -> None:
    await repository.replace_administrators({"root": "$argon2id$any"}, by=OPERATOR)
    assert await authenticator.check_administrator("root", "secret", ADDRESS)
    leave_nothing(behind_the_scenes)
    leave_nothing(behind_the_scenes, ELSEWHERE)
    held.checked.clear()
    assert await authenticator.check_administrator("root", "secret", ADDRESS)
    assert held.checked == []
    with pytest.raises(SlowedDown):  # else the memory would tell a guesser at once that he is right
        await authenticator.check_administrator("root", "secret", ELSEWHERE)


async def test_outage_in_the_middle_of_checks_keeps_nobody_waiting_after_it(
    redis_server: RedisServer, held: HeldPasswords
) -> None:
    ours, others = StateRepository(redis_server.url), StateRepository(redis_server.url)
    await ours.add_user("alice", Credential("$argon2id$any", "v1"), by=OPERATOR)
    patient = Authenticator(ours, held)
    held.go_on.clear()
    checks = [
        asyncio.ensure_future(patient.check_user("alice", f"wrong{number}", ADDRESS)) for number in range(19)
    ]
    await until(lambda: held._strangers == len(checks))
    redis_server.kill()
    held.go_on.set()
    # What was checked is answered; what it has cost comes back with time.
    assert set(await asyncio.gather(*checks)) == {RefusalReason.WRONG_PASSWORD}
    with pytest.raises(StoreUnavailable):
        await patient.check_user("alice", "secret", ADDRESS)
    redis_server.start()
    async with asyncio.timeout(20):
        assert await Authenticator(others, held).check_user("alice", "secret", ADDRESS) == "v1"
    for repository in (ours, others):
        await repository.close()
