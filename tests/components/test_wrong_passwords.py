"""The rule for wrong passwords (P18), as the scripts of a real store keep it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import redis

from state_store.activities import ActivityKind
from state_store.credentials import attempts
from state_store.credentials.attempts import Attempt, Decision, Outcome, RefusalReason, SlowDown, Verdict
from state_store.errors import UnknownSlowDown
from state_store.records import (
    Credential,
    Exchange,
    Instance,
    Login,
    LoginOutcome,
)
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR

NETWORK = "192.0.2.1"
ELSEWHERE = "192.0.2.2"
WRONG = RefusalReason.WRONG_PASSWORD


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[StateRepository]:
    made = StateRepository(redis_url)
    await made.prepare()
    await made.add_user("alice", Credential("$argon2id$one", "v1"), by=OPERATOR)
    yield made
    await made.close()


def attempt(
    number: int = 0, name: str = "alice", network: str = NETWORK, *, trusted: bool = False
) -> Attempt:
    return Attempt(f"user {name}", network, f"digest {number}", trusted)


async def guess(store: StateRepository, one: Attempt, outcome: Outcome = Outcome.WRONG) -> Decision:
    """Have a password checked if that is allowed now."""
    decision = await store.begin_attempt(one)
    if decision.verdict is Verdict.GO:
        await store.end_attempt(one, decision, outcome, WRONG if outcome is Outcome.WRONG else None)
    return decision


async def know(store: StateRepository, name: str = "alice", network: str = NETWORK) -> None:
    """Let a user have logged in from a network."""
    await guess(store, attempt(-1, name, network), Outcome.RIGHT)


async def use_up(store: StateRepository, network: str = NETWORK) -> None:
    """Leave nothing of a network's allowance, by guesses at many users."""
    for number in range(attempts.BURST):
        await guess(store, attempt(number, f"somebody{number}", network))


def let_time_pass(client: redis.Redis, seconds: float) -> None:
    """Make the store's allowances look as they will after so long."""
    for key in client.scan_iter(keys.ALLOWANCE + "*"):
        for field in ("full_at", "checks_until"):
            if client.hexists(key, field):
                client.hincrby(key, field, -round(seconds * 1000))


async def test_twenty_wrong_passwords_of_a_network_are_checked_at_once_and_then_one_in_three_seconds(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    began = time.monotonic()
    verdicts = [
        (await guess(store, attempt(number, f"user{number}"))).verdict for number in range(attempts.BURST)
    ]
    assert set(verdicts) == {Verdict.GO}
    waiting = await store.begin_attempt(attempt(20, "user20"))
    assert waiting.verdict is Verdict.WAIT
    assert waiting.allowance == f"network {NETWORK}"
    assert waiting.wait_seconds + (time.monotonic() - began) > 2.99
    assert waiting.wait_seconds <= 3
    let_time_pass(behind_the_scenes, 3)
    assert (await guess(store, attempt(21, "user21"))).verdict is Verdict.GO
    assert (await guess(store, attempt(22, "user22"))).verdict is Verdict.WAIT
    assert (await guess(store, attempt(23, "user23", ELSEWHERE))).verdict is Verdict.GO


async def test_attempts_side_by_side_are_not_allowed_more_than_those_one_after_the_other(
    store: StateRepository,
) -> None:
    decisions = await asyncio.gather(*(store.begin_attempt(attempt(number)) for number in range(50)))
    assert Counter(decision.verdict for decision in decisions) == {Verdict.GO: 20, Verdict.WAIT: 30}


@pytest.mark.parametrize("outcome", [Outcome.RIGHT, Outcome.UNCHECKED])
async def test_right_and_unchecked_passwords_cost_nothing(store: StateRepository, outcome: Outcome) -> None:
    for number in range(2 * attempts.BURST):
        assert (await guess(store, attempt(number, f"user{number}"), outcome)).verdict is Verdict.GO
    assert await store.slow_downs() == []


async def test_who_waits_for_checks_that_are_under_way_asks_again_soon_and_is_no_slow_down(
    store: StateRepository,
) -> None:
    under_way = [(one, await store.begin_attempt(one)) for one in map(attempt, range(attempts.BURST))]
    waiting = await store.begin_attempt(attempt(20))
    assert (waiting.verdict, waiting.wait_seconds) == (Verdict.WAIT, attempts.UNDER_CHECK_POLL_SECONDS)
    assert await store.slow_downs() == []
    await store.end_attempt(*under_way[0], Outcome.RIGHT)
    assert (await store.begin_attempt(attempt(20))).verdict is Verdict.GO


async def test_check_whose_process_has_died_is_waited_for_as_a_wrong_one(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    began = time.monotonic()
    for number in range(attempts.BURST):
        await store.begin_attempt(attempt(number))
    behind_the_scenes.hset(f"{keys.ALLOWANCE}network {NETWORK}", "checks_until", 1)
    waiting = await store.begin_attempt(attempt(20))
    assert waiting.wait_seconds + (time.monotonic() - began) > 2.99


async def test_known_pair_is_answered_while_its_network_has_nothing_left(store: StateRepository) -> None:
    await know(store)
    await use_up(store)
    for _ in range(2 * attempts.BURST):
        decision = await guess(store, attempt(100), Outcome.RIGHT)
        assert (decision.verdict, decision.from_pair, decision.from_network) == (Verdict.GO, True, False)
    assert (await guess(store, attempt(100, network=ELSEWHERE), Outcome.RIGHT)).from_network


async def test_wrong_password_of_a_known_pair_is_said_only_by_its_networks_allowance(
    store: StateRepository,
) -> None:
    await know(store)
    await use_up(store)
    one = attempt(100)
    assert (await store.begin_attempt(one)).from_pair
    assert (await store.begin_attempt(one, as_unknown=True)).verdict is Verdict.WAIT


async def test_known_pair_has_an_allowance_and_no_more(store: StateRepository) -> None:
    await know(store)
    for number in range(attempts.BURST):
        assert (await guess(store, attempt(number))).from_pair
    assert (await guess(store, attempt(99))).allowance == f"pair {NETWORK} user alice"


async def test_guesses_at_a_user_from_many_networks_slow_unknown_networks_only(
    store: StateRepository,
) -> None:
    await know(store)
    for number in range(attempts.BURST):
        await guess(store, attempt(number, network=f"198.51.100.{number}"))
    assert (await guess(store, attempt(98, network=ELSEWHERE))).allowance == "user user alice"
    assert (await guess(store, attempt(99), Outcome.RIGHT)).from_pair
    assert (await guess(store, attempt(98, "bob", ELSEWHERE))).verdict is Verdict.GO


async def test_trusted_network_is_never_slowed(store: StateRepository) -> None:
    for number in range(3 * attempts.BURST):
        assert (await guess(store, attempt(number, trusted=True))).verdict is Verdict.GO
    assert (await guess(store, attempt(99))).verdict is Verdict.GO


@pytest.mark.parametrize("name", ["alice", "nobody"])
async def test_password_that_was_refused_is_no_new_attempt_when_it_comes_again_from_the_same_network(
    store: StateRepository, name: str
) -> None:
    await guess(store, attempt(1, name))
    for _ in range(2 * attempts.BURST):
        assert (await guess(store, attempt(1, name))).verdict is Verdict.REPEATED
    for other in (attempt(2, name), attempt(1, name, ELSEWHERE), attempt(1, "bob")):
        assert (await guess(store, other)).verdict is Verdict.GO


async def test_refused_password_is_forgotten_with_the_users_old_one(store: StateRepository) -> None:
    await guess(store, attempt(1))
    await store.set_credential("alice", Credential("$argon2id$two", "v2"), by=OPERATOR)
    assert (await guess(store, attempt(1), Outcome.RIGHT)).verdict is Verdict.GO


async def test_password_that_is_set_while_it_is_being_refused_is_not_refused_again(
    store: StateRepository,
) -> None:
    decision = await store.begin_attempt(attempt(1))
    await store.set_credential("alice", Credential("$argon2id$two", "v2"), by=OPERATOR)
    await store.end_attempt(attempt(1), decision, Outcome.WRONG, WRONG)
    assert (await guess(store, attempt(1), Outcome.RIGHT)).verdict is Verdict.GO


async def test_only_the_last_refused_passwords_are_kept_and_none_in_clear(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    for number in range(attempts.REFUSED_PASSWORDS + 5):
        await guess(store, attempt(number, trusted=True))
    (key,) = behind_the_scenes.scan_iter(keys.REFUSED + "*")
    kept = behind_the_scenes.lrange(key, 0, -1)
    assert len(kept) == attempts.REFUSED_PASSWORDS
    assert not any("digest" in one for one in kept)
    assert 0 < behind_the_scenes.ttl(key) <= attempts.REFUSED_SECONDS


async def test_everything_that_guessing_leaves_behind_goes_by_itself(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    before = set(behind_the_scenes.scan_iter("*"))
    await use_up(store)
    await guess(store, attempt(99))
    lasting = {keys.SLOWED, keys.ACTIVITY}
    for key in set(behind_the_scenes.scan_iter("*")) - before - lasting:
        assert 0 < behind_the_scenes.ttl(key) <= attempts.REFUSED_SECONDS, key


async def test_nobody_overtakes_those_who_wait_for_the_same_allowance(store: StateRepository) -> None:
    decision = await store.begin_attempt(attempt(), ahead={f"network {NETWORK}"})
    assert (decision.verdict, decision.allowance) == (Verdict.WAIT, f"network {NETWORK}")
    assert decision.wait_seconds == 0
    assert await store.slow_downs() == []
    await know(store, "bob")
    assert (await store.begin_attempt(attempt(name="bob"), ahead={f"network {NETWORK}"})).from_pair


async def test_clock_that_was_set_back_makes_nobody_wait_for_longer_than_a_whole_allowance(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await use_up(store)
    let_time_pass(behind_the_scenes, -3600)
    assert (await store.begin_attempt(attempt(99))).wait_seconds <= attempts.INTERVAL_SECONDS


# Known pairs


async def test_user_is_known_where_it_has_logged_in_lately_and_nowhere_else(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await know(store)
    assert await store.recognise("user alice", NETWORK)
    assert not await store.recognise("user alice", ELSEWHERE)
    assert not await store.recognise("administrator alice", NETWORK)
    # A millisecond more: this may be the one in which it logged in.
    behind_the_scenes.zincrby(keys.KNOWN + "user alice", -attempts.KNOWN_SECONDS * 1000 - 1, NETWORK)
    assert not await store.recognise("user alice", NETWORK)


async def test_wrong_password_makes_nobody_known(store: StateRepository) -> None:
    await guess(store, attempt(1))
    assert not await store.recognise("user alice", NETWORK)


async def test_the_latest_networks_of_a_user_are_known_and_a_removed_user_nowhere(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    networks = [f"198.51.100.{number}" for number in range(attempts.KNOWN_NETWORKS + 1)]
    for network in networks:
        await know(store, network=network)
    key = keys.KNOWN + "user alice"
    assert behind_the_scenes.zcard(key) == attempts.KNOWN_NETWORKS
    assert await store.recognise("user alice", networks[-1])
    assert 0 < behind_the_scenes.ttl(key) <= attempts.KNOWN_SECONDS
    await store.remove_user("alice", by=OPERATOR)
    assert not await store.recognise("user alice", networks[-1])


async def test_remembered_password_opens_a_maildrop_from_a_known_network_only_and_keeps_it_known(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await store.register_instance(Instance("i1", "host.example", 42, "1.2.3", 1000.0))
    remembered = Login("alice", "s1", "v1", NETWORK, is_remembered=True)

    async def outcome() -> LoginOutcome:
        exchange = Exchange("i1", 0, logins=[remembered], releases=[("alice", "s1")])
        return (await store.exchange(exchange)).logins[0]

    assert await outcome() is LoginOutcome.CHECK_NEEDED
    await know(store)
    assert await outcome() is LoginOutcome.OPENED
    key = keys.KNOWN + "user alice"
    last = behind_the_scenes.zscore(key, NETWORK)
    assert await outcome() is LoginOutcome.OPENED
    assert behind_the_scenes.zscore(key, NETWORK) == last  # no write for each login
    behind_the_scenes.zincrby(key, -2 * attempts.KNOWN_REFRESH_SECONDS * 1000, NETWORK)
    assert await outcome() is LoginOutcome.OPENED
    assert float(str(behind_the_scenes.zscore(key, NETWORK))) > float(str(last))


# What operators see


async def test_slow_down_is_shown_as_long_as_its_allowance_is_not_whole(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await use_up(store)
    assert await store.slow_downs() == []
    for number in range(3):
        await store.begin_attempt(attempt(90 + number))
    await store.begin_attempt(attempt(90), is_first=False)
    (shown,) = await store.slow_downs()
    assert (shown.network, shown.user, shown.is_administrator) == (NETWORK, "", False)
    assert shown.attempts == 3
    assert 50 < shown.until - shown.since <= 61
    behind_the_scenes.delete(f"{keys.ALLOWANCE}network {NETWORK}")  # as it does by itself
    assert await store.slow_downs() == []


async def test_slow_downs_of_users_and_pairs_say_whose_they_are(store: StateRepository) -> None:
    root = Attempt("administrator root", NETWORK, "")
    decision = await store.begin_attempt(root)
    await store.end_attempt(root, decision, Outcome.RIGHT)
    for number in range(attempts.BURST + 1):
        await guess(store, Attempt("administrator root", NETWORK, str(number)))
        await guess(store, attempt(number, network=f"198.51.100.{number}"))
    shown = {(one.network, one.user, one.is_administrator) for one in await store.slow_downs()}
    assert shown == {("", "alice", False), (NETWORK, "root", True)}


async def test_lifted_slow_down_is_over_at_once(store: StateRepository) -> None:
    await use_up(store)
    await store.begin_attempt(attempt(99))
    (shown,) = await store.slow_downs()
    assert isinstance(shown, SlowDown)
    await store.lift_slow_down(shown.slow_down_id, by=OPERATOR)
    assert await store.slow_downs() == []
    assert (await store.begin_attempt(attempt(99))).verdict is Verdict.GO
    with pytest.raises(UnknownSlowDown):
        await store.lift_slow_down(shown.slow_down_id, by=OPERATOR)


async def test_flood_of_wrong_passwords_leaves_few_events_which_count_them_all(
    store: StateRepository,
) -> None:
    since = await store.last_activity_id()
    for number in range(100):
        await guess(store, attempt(number % 15, f"user{number % 3}"))
    events, _ = await store.activity_after(since)
    kinds = Counter(event.kind for event in events)
    assert kinds == {ActivityKind.REFUSED: attempts.EVENTS_OF_A_NETWORK}
    assert events[0].details == {
        "username": "user0",
        "network": NETWORK,
        "reason": "wrong password",
        "count": "1",
    }


async def test_beginning_of_a_slow_down_is_an_event_without_an_administrators_name(
    store: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    for number in range(attempts.BURST):
        await guess(store, Attempt("administrator hunter2", f"198.51.100.{number}", ""))
    since = await store.last_activity_id()
    for _ in range(5):
        await store.begin_attempt(Attempt("administrator hunter2", NETWORK, ""))
    (event,), _ = await store.activity_after(since)
    assert (event.kind, event.details) == (ActivityKind.SLOWED, {"username": "", "network": ""})
    assert "hunter2" not in str(behind_the_scenes.xrange(keys.ACTIVITY))
