"""What the repository promises: settings, users, administrators, leases, locks, slots, notifications."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest
import redis

from state_store.activities import ActivityKind
from state_store.errors import (
    LayoutDiffers,
    LeaseLapsed,
    MailDirectoryRefused,
    StoreUnavailable,
    UnknownUser,
    UserExists,
)
from state_store.records import (
    LEASE_SECONDS,
    AddressCount,
    Counters,
    Credential,
    Deltas,
    Exchange,
    Instance,
    Login,
    LoginOutcome,
    Naming,
    Notification,
    NotificationKind,
    SessionRow,
    Settings,
)
from state_store.redis import keys
from state_store.repository import StateRepository, users
from state_store.vitals import Vitals
from support.actors import OPERATOR
from support.patience import no_patience_with_instances

ADDRESS = "192.0.2.1"
ELSEWHERE = "2001:db8::1"
DELAY_SECONDS = 60
CREDENTIAL = Credential("$argon2id$one", "v1")


def let_lease_lapse(client: redis.Redis, instance_id: str) -> None:
    """End a lease as the time would."""
    client.zadd(keys.LEASES, {instance_id: 1})


def instance(name: str = "i1", started_at: float = 1000.0) -> Instance:
    return Instance(name, "host.example", 42, "1.2.3", started_at)


def login(session_id: str = "s1", username: str = "alice", version: str = "v1") -> Login:
    return Login(username, session_id, version, ADDRESS)


def session(session_id: str, instance_id: str = "i1", username: str | None = None) -> SessionRow:
    return SessionRow(session_id, instance_id, username, ADDRESS, 1000.5)


async def ask_to_log_in(
    repository: StateRepository, one: Login, instance_id: str = "i1", sequence: int = 1
) -> LoginOutcome:
    return (await repository.exchange(Exchange(instance_id, sequence, logins=[one]))).logins[0]


async def register(repository: StateRepository, *names: str) -> None:
    for place, name in enumerate(names):
        await repository.register_instance(instance(name, 1000.0 + place))


# Settings


async def test_new_store_has_the_default_settings(repository: StateRepository) -> None:
    assert await repository.settings() == Settings(1000, 600, "", 0)


async def test_every_change_of_a_setting_gives_a_higher_version(repository: StateRepository) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=1_000_000)
    first = await repository.settings()
    await repository.change_settings(by=OPERATOR, timeout_seconds=0)
    second = await repository.settings()
    assert (first.max_connections, first.timeout_seconds) == (1_000_000, 600)
    assert (second.max_connections, second.timeout_seconds) == (1_000_000, 0)
    assert 0 < first.version < second.version


async def test_announced_directory_holds_until_a_pop3_instance_overrides_it(
    repository: StateRepository,
) -> None:
    await repository.announce_mail_directory("/first", overrides=False, by=OPERATOR)
    await repository.announce_mail_directory("/second", overrides=False, by=OPERATOR)
    assert (await repository.settings()).mail_directory == "/first"
    await repository.announce_mail_directory("/third", overrides=True, by=OPERATOR)
    assert (await repository.settings()).mail_directory == "/third"


async def test_announced_directory_of_a_newcomer_changes_nothing_for_those_who_live(
    repository: StateRepository,
) -> None:
    assert await repository.announce_mail_directory("/first", overrides=True, by=OPERATOR) == "/first"
    await register(repository, "i1")
    assert await repository.announce_mail_directory("/second", overrides=True, by=OPERATOR) == "/first"
    await repository.end_instance("i1")
    assert await repository.announce_mail_directory("/second", overrides=True, by=OPERATOR) == "/second"


async def test_instance_with_another_layout_than_a_live_one_is_refused(repository: StateRepository) -> None:
    one, other = (replace(instance(name), layout=name) for name in ("{user}", "{domain}/{local}"))
    await repository.register_instance(one)
    with pytest.raises(LayoutDiffers):
        await repository.register_instance(other)
    await repository.end_instance(one.instance_id)
    await repository.register_instance(other)


async def test_overriding_announcement_is_a_change_that_instances_see(repository: StateRepository) -> None:
    await repository.announce_mail_directory("/first", overrides=True, by=OPERATOR)
    before = (await repository.settings()).version
    await repository.announce_mail_directory("/second", overrides=True, by=OPERATOR)
    after = (await repository.settings()).version
    await repository.announce_mail_directory("/second", overrides=True, by=OPERATOR)
    assert before < after == (await repository.settings()).version


# Mail directories (P12)


async def propose(repository: StateRepository, path: str, verdicts: dict[str, bool]) -> None:
    listening = asyncio.Event()

    async def answer() -> None:
        async for heard in repository.notifications():
            listening.set()
            if heard.kind is NotificationKind.DIRECTORY_PROPOSED:
                for instance_id, usable in verdicts.items():
                    await repository.answer_proposal(
                        heard.identifier, instance_id, "" if usable else "Permission denied"
                    )

    answering = asyncio.create_task(answer())
    try:
        await listening.wait()
        await repository.change_settings(by=OPERATOR, mail_directory=path)
    finally:
        answering.cancel()
        with suppress(asyncio.CancelledError):
            await answering


async def test_mail_directory_is_set_when_all_live_instances_agree(repository: StateRepository) -> None:
    await register(repository, "i1", "i2")
    await repository.announce_mail_directory("/announced", overrides=True, by=OPERATOR)
    with no_patience_with_instances():  # nobody here sends exchanges
        await propose(repository, "/srv/new mail", {"i1": True, "i2": True})
    await repository.announce_mail_directory("/too late", overrides=True, by=OPERATOR)
    assert (await repository.settings()).mail_directory == "/srv/new mail"


async def test_mail_directory_is_refused_when_one_instance_cannot_use_it(repository: StateRepository) -> None:
    await register(repository, "i1", "i2")
    with pytest.raises(MailDirectoryRefused):
        await propose(repository, "/srv/mail", {"i1": True, "i2": False})
    assert (await repository.settings()).mail_directory == ""


async def test_mail_directory_is_refused_when_nobody_is_there_to_ask(repository: StateRepository) -> None:
    with pytest.raises(MailDirectoryRefused):
        await repository.change_settings(by=OPERATOR, mail_directory="/srv/mail")
    assert (await repository.settings()) == Settings()


async def test_mail_directory_asks_no_instance_whose_lease_is_over(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await register(repository, "i1")
    let_lease_lapse(behind_the_scenes, "i1")
    with pytest.raises(MailDirectoryRefused):
        await repository.change_settings(by=OPERATOR, mail_directory="/srv/mail")


# Users


async def test_usernames_are_sorted_by_their_octets(repository: StateRepository) -> None:
    for name in ["b", "a", "B", "aa", "~", "!", "a-b", "10", "9"]:
        await repository.add_user(name, CREDENTIAL, by=OPERATOR)
    assert await repository.usernames() == ["!", "10", "9", "B", "a", "a-b", "aa", "b", "~"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 7])
async def test_list_of_all_users_is_whole_however_many_are_asked_for_at_once(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(users, "NAMES_A_PAGE", 3)
    names = [f"user{number}" for number in range(count)]
    for name in reversed(names):
        await repository.add_user(name, CREDENTIAL, by=OPERATOR)
    assert await repository.usernames() == names


async def test_usernames_are_paged_without_gaps(repository: StateRepository) -> None:
    names = [f"user{number:02}" for number in range(7)]
    for name in reversed(names):
        await repository.add_user(name, CREDENTIAL, by=OPERATOR)
    assert await repository.usernames_after("", 3) == names[:3]
    assert await repository.usernames_after("user02", 3) == names[3:6]
    assert await repository.usernames_after("user02x", 3) == names[3:6]
    assert await repository.usernames_after("user06", 3) == []


async def test_added_user_has_its_credential_and_a_removed_one_none(repository: StateRepository) -> None:
    assert await repository.credential("alice") is None
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    assert await repository.credential("alice") == CREDENTIAL
    assert await repository.credential("Alice") is None
    await repository.remove_user("alice", by=OPERATOR)
    assert await repository.credential("alice") is None
    assert await repository.usernames() == []


async def test_taken_name_keeps_its_password(repository: StateRepository) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    with pytest.raises(UserExists):
        await repository.add_user("alice", Credential("$argon2id$two", "v2"), by=OPERATOR)
    assert await repository.credential("alice") == CREDENTIAL


async def test_adding_the_same_credential_again_succeeds(repository: StateRepository) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    assert await repository.usernames() == ["alice"]


async def test_new_password_replaces_the_old_one(repository: StateRepository) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    changed = Credential("$argon2id$two", "v2")
    await repository.set_credential("alice", changed, by=OPERATOR)
    await repository.set_credential("alice", changed, by=OPERATOR)
    assert await repository.credential("alice") == changed


async def test_unknown_user_can_be_neither_removed_nor_changed(repository: StateRepository) -> None:
    with pytest.raises(UnknownUser):
        await repository.remove_user("nobody", by=OPERATOR)
    with pytest.raises(UnknownUser):
        await repository.set_credential("nobody", CREDENTIAL, by=OPERATOR)
    assert await repository.usernames() == []


# Administrators


async def hashes(repository: StateRepository) -> dict[str, str]:
    """Return every administrator's hash by name."""
    return {name: one.password_hash for name, one in (await repository.administrators()).items()}


async def test_first_administrator_is_added_only_once(repository: StateRepository) -> None:
    assert await hashes(repository) == {}
    for _ in range(2):  # the answer to the first may have been lost
        assert await repository.replace_administrators({"admin": "hash1"}, "one", Naming.FIRST, by=OPERATOR)
    assert not await repository.replace_administrators({"other": "hash2"}, "two", Naming.FIRST, by=OPERATOR)
    assert await hashes(repository) == {"admin": "hash1"}


async def test_replaced_administrators_are_gone(repository: StateRepository) -> None:
    await repository.replace_administrators({"old": "hash1", "kept": "hash2"}, by=OPERATOR)
    await repository.replace_administrators({"kept": "hash3", "new": "hash4"}, by=OPERATOR)
    assert await hashes(repository) == {"kept": "hash3", "new": "hash4"}


async def test_front_end_with_other_administrators_throws_out_nobody(repository: StateRepository) -> None:
    await repository.replace_administrators({"bob": "hash1"}, "one", by=OPERATOR)
    await repository.replace_administrators({"carol": "hash2"}, "other", by=OPERATOR)
    assert await hashes(repository) == {"bob": "hash1", "carol": "hash2"}
    await repository.replace_administrators({"dave": "hash3"}, "one", by=OPERATOR)
    assert await hashes(repository) == {"carol": "hash2", "dave": "hash3"}


async def test_administrators_of_a_front_end_that_ended_go_with_the_next_start(
    repository: StateRepository,
) -> None:
    await repository.replace_administrators({"admin": "hash2"}, "without names", Naming.FIRST, by=OPERATOR)
    await repository.replace_administrators({"bob": "hash1"}, "one", by=OPERATOR)
    await repository.leave("one")
    await repository.replace_administrators({"admin": "hash2"}, "without names", Naming.KEEP, by=OPERATOR)
    assert await hashes(repository) == {"bob": "hash1", "admin": "hash2"}
    await repository.replace_administrators({"carol": "hash3"}, "next", by=OPERATOR)
    assert await hashes(repository) == {"admin": "hash2", "carol": "hash3"}


async def test_front_end_that_names_its_administrators_again_brings_back_no_old_password(
    repository: StateRepository,
) -> None:
    await repository.replace_administrators({"bob": "old"}, "one", by=OPERATOR)
    await repository.replace_administrators({"bob": "new"}, "other", by=OPERATOR)
    await repository.replace_administrators({"bob": "old"}, "one", Naming.AGAIN, by=OPERATOR)
    assert await hashes(repository) == {"bob": "new"}


async def test_front_end_that_crashed_keeps_its_administrators_for_a_minute(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.replace_administrators({"bob": "hash1"}, "crashed", by=OPERATOR)
    await repository.replace_administrators({"carol": "hash2"}, "one", by=OPERATOR)
    seen = int(behind_the_scenes.hget(keys.FRONT_ENDS, "one").split()[0])  # type: ignore[union-attr]
    behind_the_scenes.hset(keys.FRONT_ENDS, "crashed", f"{seen - 50_000} bob")
    await repository.replace_administrators({"carol": "hash2"}, "one", Naming.AGAIN, by=OPERATOR)
    assert set(await repository.administrators()) == {"bob", "carol"}
    behind_the_scenes.hset(keys.FRONT_ENDS, "crashed", f"{seen - 61_000} bob")
    await repository.replace_administrators({"carol": "hash2"}, "one", Naming.AGAIN, by=OPERATOR)
    assert set(await repository.administrators()) == {"carol"}


async def test_administrators_can_be_replaced_by_none(repository: StateRepository) -> None:
    await repository.replace_administrators({"old": "hash1"}, by=OPERATOR)
    await repository.replace_administrators({}, by=OPERATOR)
    assert await hashes(repository) == {}


async def test_a_sign_in_that_ended_is_known_as_such_for_its_time(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.end_sign_in("one", 60, by=OPERATOR)
    await repository.end_sign_in("short", 30, by=OPERATOR)
    assert await repository.is_ended_sign_in("one")
    assert not await repository.is_ended_sign_in("another")
    for sign_in, seconds in (("one", 60), ("short", 30)):
        assert seconds - 20 < behind_the_scenes.ttl(keys.SIGNED_OUT + sign_in) <= seconds


# Counters and exchanges


async def test_counters_begin_at_zero(repository: StateRepository) -> None:
    assert await repository.counters() == Counters()


async def test_counters_and_gauges_add_up_over_instances(repository: StateRepository) -> None:
    await register(repository, "i1", "i2")
    await repository.exchange(Exchange("i1", 1, Deltas(100, 2, 3, 4, 5), open_connections=6))
    await repository.exchange(Exchange("i2", 1, Deltas(1, 10, 20, 30, 40), open_connections=7))
    assert await repository.counters() == Counters(101, 12, 23, 13, 0, 34, 45)


async def test_counters_hold_more_than_64_bits_of_floating_point_can(repository: StateRepository) -> None:
    await register(repository, "i1")
    await repository.exchange(Exchange("i1", 1, Deltas(retrieved_bytes=2**53)))
    await repository.exchange(Exchange("i1", 2, Deltas(retrieved_bytes=1)))
    assert (await repository.counters()).retrieved_bytes == 2**53 + 1


async def test_repeated_sequence_number_counts_once(repository: StateRepository) -> None:
    await register(repository, "i1")
    for _ in range(3):
        await repository.exchange(Exchange("i1", 1, Deltas(5, 5, 5, 5, 5)))
    await repository.exchange(Exchange("i1", 2, Deltas(logins=1)))
    assert await repository.counters() == Counters(5, 5, 5, 0, 0, 5, 6)


async def test_counts_stay_and_gauges_go_when_an_instance_ends(repository: StateRepository) -> None:
    await register(repository, "i1")
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.exchange(
        Exchange("i1", 1, Deltas(7, 1, 1, 1, 1), 1, 1, session_rows=[session("s1")], logins=[login()])
    )
    assert await repository.logged_in_users() == ["alice"]
    await repository.end_instance("i1")
    assert await repository.counters() == Counters(7, 1, 1, 0, 0, 1, 1)
    assert await repository.logged_in_users() == []
    assert await repository.sessions() == []
    assert await repository.instances() == []


async def test_ended_instance_can_end_again(repository: StateRepository) -> None:
    await register(repository, "i1", "i2")
    await repository.end_instance("i1")
    await repository.end_instance("i1")
    assert [one.instance.instance_id for one in await repository.instances()] == ["i2"]


async def test_live_instances_are_listed_the_oldest_first(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.register_instance(instance("young", 3000.25))
    await repository.register_instance(instance("dead", 1000.0))
    await repository.register_instance(instance("old", 2000.5))
    let_lease_lapse(behind_the_scenes, "dead")
    found = await repository.instances()
    assert [one.instance for one in found] == [instance("old", 2000.5), instance("young", 3000.25)]


async def test_instance_is_shown_with_its_lease_and_what_it_carries(repository: StateRepository) -> None:
    await register(repository, "i1")
    await repository.exchange(Exchange("i1", 1, open_connections=3, claimed_connections=3, load=0.25))
    (status,) = await repository.instances()
    assert 0 < status.lease_seconds <= LEASE_SECONDS
    assert (status.open_connections, status.load) == (3, 0.25)
    assert status.reserved_connections >= 3


async def test_instance_is_shown_with_the_end_of_its_certificate(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await register(repository, "i1", "i2", "gone")
    let_lease_lapse(behind_the_scenes, "gone")
    for instance_id in ("i1", "gone"):
        await repository.note_vitals(instance_id, Vitals(certificate_expires_at=1_900_000_000.5))
    found = {one.instance.instance_id: one.certificate_expires_at for one in await repository.instances()}
    assert found == {"i1": 1_900_000_000.5, "i2": 0.0}


# Leases


@pytest.mark.parametrize("counts_taken", [True, False])
async def test_lapsed_lease_tells_whether_the_counts_were_taken(
    repository: StateRepository, behind_the_scenes: redis.Redis, counts_taken: bool
) -> None:
    await register(repository, "i1")
    await repository.exchange(Exchange("i1", 1, Deltas(logins=1)))
    let_lease_lapse(behind_the_scenes, "i1")
    with pytest.raises(LeaseLapsed) as lapsed:
        await repository.exchange(Exchange("i1", 1 if counts_taken else 2, Deltas(logins=1)))
    assert lapsed.value.counts_taken is counts_taken
    assert (await repository.counters()).historical_logins == 1


async def test_counts_taken_are_still_known_after_another_instance_has_cleared_up(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await register(repository, "i1", "i2")
    await repository.exchange(Exchange("i1", 4, Deltas(logins=1)))
    let_lease_lapse(behind_the_scenes, "i1")
    await repository.exchange(Exchange("i2", 1), reap=True)
    with pytest.raises(LeaseLapsed) as lapsed:
        await repository.exchange(Exchange("i1", 4, Deltas(logins=1)))
    assert lapsed.value.counts_taken


async def test_exchange_of_an_instance_that_never_registered_is_refused(repository: StateRepository) -> None:
    with pytest.raises(LeaseLapsed) as lapsed:
        await repository.exchange(Exchange("stranger", 1, Deltas(logins=1)))
    assert not lapsed.value.counts_taken
    assert await repository.counters() == Counters()


async def test_exchange_renews_the_lease(repository: StateRepository, behind_the_scenes: redis.Redis) -> None:
    await register(repository, "i1")
    began = time.time()
    behind_the_scenes.zadd(keys.LEASES, {"i1": (began + LEASE_SECONDS - 1) * 1000})
    await repository.exchange(Exchange("i1", 1))
    ends = behind_the_scenes.zscore(keys.LEASES, "i1")
    assert isinstance(ends, float)
    assert began - 0.001 <= ends / 1000 - LEASE_SECONDS <= time.time()


async def test_exchange_that_a_later_one_has_overtaken_changes_nothing(repository: StateRepository) -> None:
    await register(repository, "i1")
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    lost = Exchange("i1", 1, Deltas(logins=1), open_connections=1, logins=[login()], exchange_number=1)
    again = Exchange("i1", 1, Deltas(logins=1), withdrawn_logins=[("alice", "s1")], exchange_number=2)
    await repository.exchange(again)
    with pytest.raises(StoreUnavailable):
        await repository.exchange(lost)
    assert await repository.logged_in_users() == []
    assert await repository.counters() == Counters(historical_logins=1)
    await repository.exchange(replace(again, exchange_number=3))


async def test_exchange_that_arrives_a_second_time_takes_no_lock(repository: StateRepository) -> None:
    await register(repository, "i1")
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    asked = Exchange("i1", 1, logins=[login()], exchange_number=1)
    await repository.exchange(asked)
    await repository.exchange(Exchange("i1", 2, releases=[("alice", "s1")], exchange_number=2))
    with pytest.raises(StoreUnavailable):
        await repository.exchange(replace(asked, counts_sequence=3, exchange_number=2))
    assert await repository.logged_in_users() == []


# Maildrop locks


@pytest.fixture
async def two_instances(repository: StateRepository) -> StateRepository:
    """Give a repository with the instances i1 and i2 and the user alice."""
    await register(repository, "i1", "i2")
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    return repository


async def test_free_maildrop_opens_once_and_is_then_in_use(two_instances: StateRepository) -> None:
    assert await ask_to_log_in(two_instances, login("s1")) is LoginOutcome.OPENED
    assert await ask_to_log_in(two_instances, login("s2")) is LoginOutcome.IN_USE
    assert await ask_to_log_in(two_instances, login("s3"), "i2") is LoginOutcome.IN_USE
    assert await two_instances.logged_in_users() == ["alice"]


async def test_two_logins_in_one_exchange_open_a_maildrop_once(two_instances: StateRepository) -> None:
    result = await two_instances.exchange(Exchange("i1", 1, logins=[login("s1"), login("s2")]))
    assert result.logins == [LoginOutcome.OPENED, LoginOutcome.IN_USE]


async def test_same_session_that_asks_again_after_a_lost_answer_opens(two_instances: StateRepository) -> None:
    assert await ask_to_log_in(two_instances, login("s1")) is LoginOutcome.OPENED
    assert await ask_to_log_in(two_instances, login("s1")) is LoginOutcome.OPENED


async def test_same_session_id_of_another_instance_is_another_session(two_instances: StateRepository) -> None:
    assert await ask_to_log_in(two_instances, login("s1")) is LoginOutcome.OPENED
    assert await ask_to_log_in(two_instances, login("s1"), "i2") is LoginOutcome.IN_USE


async def test_maildrop_of_a_dead_instance_is_taken_over_at_once(
    two_instances: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await ask_to_log_in(two_instances, login("s1"))
    let_lease_lapse(behind_the_scenes, "i1")
    assert await ask_to_log_in(two_instances, login("s2"), "i2") is LoginOutcome.OPENED
    with pytest.raises(LeaseLapsed):
        await two_instances.exchange(Exchange("i1", 2, releases=[("alice", "s1")]))
    assert await two_instances.logged_in_users() == ["alice"]


async def test_clearing_up_frees_the_locks_of_the_dead_alone(
    two_instances: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await two_instances.add_user("bob", CREDENTIAL, by=OPERATOR)
    await ask_to_log_in(two_instances, login("s1"))
    await ask_to_log_in(two_instances, login("s2", "bob"), "i2")
    let_lease_lapse(behind_the_scenes, "i1")
    await two_instances.exchange(Exchange("i2", 2), reap=True)
    assert await two_instances.logged_in_users() == ["bob"]


@pytest.mark.parametrize("one", [login(version="v0"), login(version="v"), login(username="nobody")])
async def test_login_on_a_changed_password_or_a_removed_user_is_refused(
    two_instances: StateRepository, one: Login
) -> None:
    assert await ask_to_log_in(two_instances, one) is LoginOutcome.CREDENTIAL_CHANGED
    assert await two_instances.logged_in_users() == []


@pytest.mark.parametrize(("instance_id", "session_id"), [("i2", "s1"), ("i1", "s2")])
async def test_only_the_holder_releases_a_maildrop(
    two_instances: StateRepository, instance_id: str, session_id: str
) -> None:
    await ask_to_log_in(two_instances, login("s1"))
    await two_instances.exchange(Exchange(instance_id, 2, releases=[("alice", session_id)]))
    assert await two_instances.logged_in_users() == ["alice"]
    await two_instances.exchange(Exchange("i1", 3, releases=[("alice", "s1")]))
    assert await two_instances.logged_in_users() == []


async def test_release_comes_before_a_login_of_the_same_exchange(two_instances: StateRepository) -> None:
    await ask_to_log_in(two_instances, login("s1"))
    result = await two_instances.exchange(Exchange("i1", 2, releases=[("alice", "s1")], logins=[login("s2")]))
    assert result.logins == [LoginOutcome.OPENED]


# One maildir under the names of several users


@pytest.fixture
async def two_names(two_instances: StateRepository) -> StateRepository:
    """Give a store with two users, and two instances."""
    await two_instances.add_user("bob", CREDENTIAL, by=OPERATOR)
    return two_instances


def of_maildir(maildir: str, session_id: str, username: str = "alice") -> Login:
    return login(session_id, username)._replace(maildir=maildir)


@pytest.mark.parametrize("instance_id", ["i1", "i2"])
async def test_maildir_that_is_open_under_another_name_is_in_use(
    two_names: StateRepository, instance_id: str
) -> None:
    assert await ask_to_log_in(two_names, of_maildir("m", "s1")) is LoginOutcome.OPENED
    again = of_maildir("m", "s2", "bob")
    assert await ask_to_log_in(two_names, again, instance_id) is LoginOutcome.IN_USE
    assert await two_names.logged_in_users() == ["alice"]
    elsewhere = of_maildir("n", "s2", "bob")
    assert await ask_to_log_in(two_names, elsewhere, instance_id) is LoginOutcome.OPENED


async def test_session_that_learns_its_maildir_locks_it_too(two_names: StateRepository) -> None:
    assert await ask_to_log_in(two_names, login("s1")) is LoginOutcome.OPENED
    assert await ask_to_log_in(two_names, of_maildir("m", "s1")) is LoginOutcome.OPENED
    assert await ask_to_log_in(two_names, of_maildir("m", "s2", "bob"), "i2") is LoginOutcome.IN_USE
    assert await two_names.logged_in_users() == ["alice"]
    activities, _ = await two_names.activity_after("0-0")
    assert [activity.kind for activity in activities] == [ActivityKind.LOGIN]


async def test_session_whose_maildir_is_another_one_holds_that_one_only(two_names: StateRepository) -> None:
    await ask_to_log_in(two_names, of_maildir("m", "s1"))
    assert await ask_to_log_in(two_names, of_maildir("n", "s1")) is LoginOutcome.OPENED
    assert await ask_to_log_in(two_names, of_maildir("n", "s2", "bob"), "i2") is LoginOutcome.IN_USE
    assert await ask_to_log_in(two_names, of_maildir("m", "s2", "bob"), "i2") is LoginOutcome.OPENED


@pytest.mark.parametrize("is_withdrawn", [False, True])
async def test_maildir_is_free_when_its_session_gives_back_the_maildrop(
    two_names: StateRepository, is_withdrawn: bool
) -> None:
    await ask_to_log_in(two_names, of_maildir("m", "s1"))
    given_back = [("alice", "s1")]
    exchange = Exchange("i1", 2)
    if is_withdrawn:
        exchange.withdrawn_logins = given_back
    else:
        exchange.releases = given_back
    await two_names.exchange(exchange)
    assert await ask_to_log_in(two_names, of_maildir("m", "s2", "bob"), "i2") is LoginOutcome.OPENED


@pytest.mark.parametrize("is_reaped", [False, True])
async def test_maildir_of_a_dead_instance_is_free(
    two_names: StateRepository, behind_the_scenes: redis.Redis, is_reaped: bool
) -> None:
    await ask_to_log_in(two_names, of_maildir("m", "s1"))
    let_lease_lapse(behind_the_scenes, "i1")
    await two_names.exchange(Exchange("i2", 1), reap=is_reaped)
    assert await ask_to_log_in(two_names, of_maildir("m", "s2", "bob"), "i2") is LoginOutcome.OPENED
    assert await ask_to_log_in(two_names, of_maildir("m", "s3"), "i2") is LoginOutcome.IN_USE


async def test_login_that_finds_its_maildir_in_use_keeps_what_it_holds(two_names: StateRepository) -> None:
    await ask_to_log_in(two_names, of_maildir("m", "s1"))
    await ask_to_log_in(two_names, login("s2", "bob"), "i2")
    assert await ask_to_log_in(two_names, of_maildir("m", "s2", "bob"), "i2") is LoginOutcome.IN_USE
    await two_names.exchange(Exchange("i2", 2, withdrawn_logins=[("bob", "s2")]))
    assert await two_names.logged_in_users() == ["alice"]
    assert await ask_to_log_in(two_names, of_maildir("m", "s3", "bob"), "i2") is LoginOutcome.IN_USE


async def test_session_of_a_removed_user_goes_on_to_its_end(two_instances: StateRepository) -> None:
    await ask_to_log_in(two_instances, login("s1"))
    await two_instances.remove_user("alice", by=OPERATOR)
    assert await two_instances.logged_in_users() == ["alice"]
    await two_instances.exchange(Exchange("i1", 2, releases=[("alice", "s1")]))
    assert await two_instances.logged_in_users() == []


async def test_logged_in_users_are_sorted(two_instances: StateRepository) -> None:
    for name in ["b", "B", "a"]:
        await two_instances.add_user(name, CREDENTIAL, by=OPERATOR)
        assert await ask_to_log_in(two_instances, login(f"s-{name}", name)) is LoginOutcome.OPENED
    assert await two_instances.logged_in_users() == ["B", "a", "b"]
    assert (await two_instances.counters()).logged_in_users == 3
    overview = await two_instances.overview(2)
    assert (overview.counters, overview.logged_in) == (await two_instances.counters(), ("B", "a"))
    assert overview.max_connections == Settings().max_connections


async def test_ten_thousand_logins_in_one_exchange_are_all_answered(two_instances: StateRepository) -> None:
    logins = [login(f"s{number}") for number in range(10_000)]
    result = await two_instances.exchange(Exchange("i1", 1, logins=logins))
    assert result.logins == [LoginOutcome.OPENED] + [LoginOutcome.IN_USE] * 9_999


async def test_ten_thousand_sessions_come_and_go_in_one_exchange_each(
    two_instances: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    names = [f"u{number}" for number in range(10_000)]
    behind_the_scenes.hset(keys.CREDENTIALS, mapping=dict.fromkeys(names, "v1 hash"))
    rows = [session(f"s-{name}", username=name) for name in names]
    logins = [of_maildir(f"m-{name}", f"s-{name}", name) for name in names]
    result = await two_instances.exchange(Exchange("i1", 1, logins=logins, session_rows=rows))
    assert result.logins == [LoginOutcome.OPENED] * 10_000
    assert (await two_instances.logged_in_users(), len(await two_instances.sessions())) == (
        sorted(names),
        10_000,
    )
    overview = await two_instances.overview(60)
    assert (overview.counters.logged_in_users, len(set(overview.logged_in))) == (10_000, 60)
    assert set(overview.logged_in) < set(names)
    taken = behind_the_scenes.hgetall(keys.MAILDIRS)
    assert taken == {f"m-{name}": f"i1 s-{name}" for name in names}
    given_back, closed = [(name, f"s-{name}") for name in names], [f"s-{name}" for name in names]
    half = Exchange("i1", 2, releases=given_back[:6000], withdrawn_logins=given_back[6000:])
    half.closed_sessions = closed
    await two_instances.exchange(half)
    assert (await two_instances.logged_in_users(), await two_instances.sessions()) == ([], [])
    assert behind_the_scenes.hlen(keys.MAILDIRS) == 0


# Session rows


async def test_sessions_are_shown_as_told_the_oldest_first(two_instances: StateRepository) -> None:
    young = replace(session("s1"), connected_at=2000.25)
    other = session("s2", "i2", "alice")
    await two_instances.exchange(Exchange("i1", 1, session_rows=[young]))
    await two_instances.exchange(Exchange("i2", 1, session_rows=[other]))
    assert await two_instances.sessions() == [other, young]


async def test_session_row_changes_with_its_login_and_goes_with_its_end(
    two_instances: StateRepository,
) -> None:
    await two_instances.exchange(Exchange("i1", 1, session_rows=[session("s1"), session("s2")]))
    await two_instances.exchange(
        Exchange("i1", 2, session_rows=[session("s1", username="alice")], closed_sessions=["s2", "s9"])
    )
    assert await two_instances.sessions() == [session("s1", username="alice")]


async def test_sessions_of_a_dead_instance_are_not_shown(
    two_instances: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await two_instances.exchange(Exchange("i1", 1, open_connections=1, session_rows=[session("s1")]))
    let_lease_lapse(behind_the_scenes, "i1")
    assert await two_instances.sessions() == []
    assert (await two_instances.counters()).current_connections == 0


# Slots


async def test_slots_go_to_those_who_wait_up_to_the_limit_over_all(repository: StateRepository) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=5)
    await register(repository, "i1", "i2")
    first = await repository.exchange(Exchange("i1", 1, waiting_connections=3))
    second = await repository.exchange(Exchange("i2", 1, waiting_connections=3))
    assert (first.reserved_connections, second.reserved_connections) == (3, 2)
    assert first.max_connections == second.max_connections == 5
    assert not first.spare_elsewhere
    assert second.spare_elsewhere


async def test_one_who_finds_the_slots_unused_elsewhere_asks_for_them(repository: StateRepository) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=4)
    await register(repository, "i1", "i2")
    await repository.exchange(Exchange("i1", 1, waiting_connections=4))
    channel = repository.notifications()
    assert (await asyncio.wait_for(anext(channel), 20)).kind is NotificationKind.RECONNECTED
    told = asyncio.ensure_future(anext(channel))
    result = await repository.exchange(Exchange("i2", 1, waiting_connections=1))
    assert result.spare_elsewhere
    assert (await asyncio.wait_for(told, 20)) == Notification(NotificationKind.SLOTS_WANTED)
    await repository.exchange(Exchange("i1", 2, open_connections=1, claimed_connections=1))
    assert (await repository.exchange(Exchange("i2", 2, waiting_connections=1))).reserved_connections == 1
    await close_channel(channel)


async def test_slots_of_a_dead_instance_are_free(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=3)
    await register(repository, "i1", "i2")
    await repository.exchange(Exchange("i1", 1, waiting_connections=3))
    let_lease_lapse(behind_the_scenes, "i1")
    assert (await repository.exchange(Exchange("i2", 1, waiting_connections=3))).reserved_connections == 3


# The login delay


async def log_in_with_delay(
    repository: StateRepository,
    one: Login,
    instance_id: str = "i1",
    *,
    releases: list[tuple[str, str]] | None = None,
    withdrawn: list[tuple[str, str]] | None = None,
) -> LoginOutcome:
    """Log in, after giving back locks, where a login delay is set."""
    exchange = Exchange(
        instance_id,
        1,
        releases=releases or [],
        logins=[one],
        withdrawn_logins=withdrawn or [],
        login_delay_seconds=DELAY_SECONDS,
    )
    return (await repository.exchange(exchange)).logins[0]


def let_login_delay_pass(client: redis.Redis, username: str) -> None:
    """End the delay as the time would, after a look at how long it would have lasted."""
    left = client.pttl(keys.LOGIN + username) / 1000
    client.pexpire(keys.LOGIN + username, 0)
    assert DELAY_SECONDS - 5 < left <= DELAY_SECONDS


async def test_login_within_the_delay_after_the_last_one_is_too_soon_everywhere(
    two_instances: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await two_instances.add_user("bob", CREDENTIAL, by=OPERATOR)
    assert await log_in_with_delay(two_instances, login("s1")) is LoginOutcome.OPENED
    again = await log_in_with_delay(two_instances, login("s2"), releases=[("alice", "s1")])
    assert again is LoginOutcome.TOO_SOON
    assert await log_in_with_delay(two_instances, login("s3"), "i2") is LoginOutcome.TOO_SOON
    assert await two_instances.logged_in_users() == []
    assert await log_in_with_delay(two_instances, login("s4", "bob")) is LoginOutcome.OPENED
    let_login_delay_pass(behind_the_scenes, "alice")
    assert await log_in_with_delay(two_instances, login("s5"), "i2") is LoginOutcome.OPENED
    assert await two_instances.logged_in_users() == ["alice", "bob"]


async def test_refused_login_does_not_begin_the_delay_anew(
    two_instances: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await log_in_with_delay(two_instances, login("s1"))
    half = DELAY_SECONDS // 2
    behind_the_scenes.expire(keys.LOGIN + "alice", half)
    outcome = await log_in_with_delay(two_instances, login("s2"), releases=[("alice", "s1")])
    assert outcome is LoginOutcome.TOO_SOON
    assert 0 < behind_the_scenes.pttl(keys.LOGIN + "alice") <= half * 1000


async def test_maildrop_in_use_is_said_before_too_soon(two_instances: StateRepository) -> None:
    await log_in_with_delay(two_instances, login("s1"))
    assert await log_in_with_delay(two_instances, login("s2")) is LoginOutcome.IN_USE


async def test_login_that_is_refused_begins_no_delay(two_instances: StateRepository) -> None:
    changed = login("s1", version="v0")
    assert await log_in_with_delay(two_instances, changed) is LoginOutcome.CREDENTIAL_CHANGED
    assert await log_in_with_delay(two_instances, login("s2")) is LoginOutcome.OPENED


async def test_maildrop_in_use_begins_no_delay(two_instances: StateRepository) -> None:
    await ask_to_log_in(two_instances, login("s1"))  # from an instance that has no delay
    assert await log_in_with_delay(two_instances, login("s2"), "i2") is LoginOutcome.IN_USE
    outcome = await log_in_with_delay(two_instances, login("s3"), releases=[("alice", "s1")])
    assert outcome is LoginOutcome.OPENED


async def test_login_told_again_after_a_lost_answer_is_not_too_soon(two_instances: StateRepository) -> None:
    assert await log_in_with_delay(two_instances, login("s1")) is LoginOutcome.OPENED
    assert await log_in_with_delay(two_instances, login("s1")) is LoginOutcome.OPENED


async def test_withdrawn_login_gives_back_its_lock_and_its_delay(two_instances: StateRepository) -> None:
    await log_in_with_delay(two_instances, login("s1"))
    await two_instances.exchange(Exchange("i1", 2, withdrawn_logins=[("alice", "s1")]))
    assert await two_instances.logged_in_users() == []
    assert await log_in_with_delay(two_instances, login("s2"), "i2") is LoginOutcome.OPENED


async def test_withdrawn_login_and_a_new_one_of_its_session_travel_together(
    two_instances: StateRepository,
) -> None:
    await log_in_with_delay(two_instances, login("s1"))
    for _ in range(2):  # the second time as after a lost answer
        outcome = await log_in_with_delay(two_instances, login("s1"), withdrawn=[("alice", "s1")])
        assert outcome is LoginOutcome.OPENED


async def test_only_the_login_that_began_the_delay_takes_it_back(two_instances: StateRepository) -> None:
    await log_in_with_delay(two_instances, login("s1"))
    outcome = await log_in_with_delay(
        two_instances, login("s2"), releases=[("alice", "s1")], withdrawn=[("alice", "s0")]
    )
    assert outcome is LoginOutcome.TOO_SOON


async def test_login_without_a_delay_begins_none(two_instances: StateRepository) -> None:
    await ask_to_log_in(two_instances, login("s1"))
    outcome = await log_in_with_delay(two_instances, login("s2"), releases=[("alice", "s1")])
    assert outcome is LoginOutcome.OPENED


async def test_redis_keeps_a_login_only_where_a_delay_is_set(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await register(repository, "i1")
    for name in ("alice", "bob"):
        await repository.add_user(name, CREDENTIAL, by=OPERATOR)
    await ask_to_log_in(repository, login("s1"))
    await log_in_with_delay(repository, login("s2", "bob"))
    assert behind_the_scenes.keys(keys.LOGIN + "*") == [keys.LOGIN + "bob"]


# Connections of one address


async def ask_for_places(
    repository: StateRepository,
    instance_id: str,
    *counts: AddressCount,
    limit: int = 3,
    sequence: int = 1,
) -> list[int]:
    """Tell how many connections each address has open and waiting; return how many it may have."""
    exchange = Exchange(
        instance_id,
        sequence,
        open_connections=sum(one.open_connections for one in counts),
        claimed_connections=sum(one.open_connections for one in counts),
        waiting_connections=sum(one.waiting_connections for one in counts),
        address_limit=limit,
        addresses=list(counts),
    )
    return (await repository.exchange(exchange)).addresses


def here(open_connections: int, waiting_connections: int = 0) -> AddressCount:
    return AddressCount(ADDRESS, open_connections, waiting_connections)


async def test_address_has_places_up_to_the_limit_over_all_instances(two_instances: StateRepository) -> None:
    assert await ask_for_places(two_instances, "i1", here(0, 2)) == [2]
    elsewhere = AddressCount(ELSEWHERE, 0, 2)
    assert await ask_for_places(two_instances, "i2", here(0, 5), elsewhere) == [1, 2]
    assert await ask_for_places(two_instances, "i1", here(2, 1)) == [2]


async def test_place_given_back_goes_to_the_next_who_asks(two_instances: StateRepository) -> None:
    assert await ask_for_places(two_instances, "i1", here(0, 3)) == [3]
    assert await ask_for_places(two_instances, "i2", here(0, 1)) == [0]
    assert await ask_for_places(two_instances, "i1", here(2)) == [2]
    assert await ask_for_places(two_instances, "i2", here(0, 2)) == [1]
    assert await ask_for_places(two_instances, "i1", here(0)) == [0]
    assert await ask_for_places(two_instances, "i2", here(1, 5)) == [3]


async def test_question_asked_again_after_a_lost_answer_gets_the_same_answer(
    two_instances: StateRepository,
) -> None:
    assert await ask_for_places(two_instances, "i2", here(0, 1)) == [1]
    for _ in range(2):
        assert await ask_for_places(two_instances, "i1", here(1, 5)) == [2]


async def test_open_connections_stay_even_over_the_limit(two_instances: StateRepository) -> None:
    assert await ask_for_places(two_instances, "i1", here(5)) == [5]
    assert await ask_for_places(two_instances, "i1", here(5, 2)) == [5]
    assert await ask_for_places(two_instances, "i2", here(0, 1)) == [0]


async def test_places_of_a_dead_instance_are_free(
    two_instances: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await ask_for_places(two_instances, "i1", here(0, 3))
    let_lease_lapse(behind_the_scenes, "i1")
    assert await ask_for_places(two_instances, "i2", here(0, 3)) == [3]


async def test_places_of_an_ended_instance_are_free(two_instances: StateRepository) -> None:
    await ask_for_places(two_instances, "i1", here(0, 3))
    await two_instances.end_instance("i1")
    assert await ask_for_places(two_instances, "i2", here(0, 3)) == [3]


async def test_one_whom_its_address_keeps_out_takes_no_slot(repository: StateRepository) -> None:
    await repository.change_settings(by=OPERATOR, max_connections=4)
    await register(repository, "i1", "i2")
    exchange = Exchange("i1", 1, waiting_connections=9, address_limit=1, addresses=[here(0, 9)])
    result = await repository.exchange(exchange)
    assert (result.addresses, result.reserved_connections) == ([1], 1)
    other = await repository.exchange(Exchange("i2", 1, waiting_connections=3))
    assert other.reserved_connections == 3


async def test_redis_keeps_only_addresses_with_connections_and_only_while_the_instance_lives(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await register(repository, "i1", "i2")
    elsewhere = AddressCount(ELSEWHERE, 0, 1)
    await ask_for_places(repository, "i1", here(0, 2), elsewhere)
    assert behind_the_scenes.hgetall(keys.ADDRESSES + "i1") == {ADDRESS: "2", ELSEWHERE: "1"}
    await ask_for_places(repository, "i1", here(0))
    assert behind_the_scenes.hgetall(keys.ADDRESSES + "i1") == {ELSEWHERE: "1"}
    behind_the_scenes.zadd(keys.LEASES, {"i1": 1})
    await repository.exchange(Exchange("i2", 1), reap=True)
    assert not behind_the_scenes.exists(keys.ADDRESSES + "i1")


# Events


async def close_channel(channel: AsyncIterator[Notification]) -> None:
    closing = getattr(channel, "aclose", None)
    assert closing is not None
    await closing()


async def test_listener_is_told_of_changes_and_first_that_it_listens(repository: StateRepository) -> None:
    channel = repository.notifications()
    assert await asyncio.wait_for(anext(channel), 20) == Notification(NotificationKind.RECONNECTED)
    told = asyncio.ensure_future(anext(channel))
    await repository.change_settings(by=OPERATOR, timeout_seconds=30)
    assert await asyncio.wait_for(told, 20) == Notification(NotificationKind.SETTINGS_CHANGED)
    await close_channel(channel)


async def test_proposal_carries_its_path_with_every_space(repository: StateRepository) -> None:
    await register(repository, "i1")
    channel = repository.notifications()
    assert (await asyncio.wait_for(anext(channel), 20)).kind is NotificationKind.RECONNECTED
    told = asyncio.ensure_future(anext(channel))
    asking = asyncio.create_task(repository.change_settings(by=OPERATOR, mail_directory="/srv/my  mail"))
    notification = await asyncio.wait_for(told, 20)
    assert (notification.kind, notification.path) == (NotificationKind.DIRECTORY_PROPOSED, "/srv/my  mail")
    await repository.answer_proposal(notification.identifier, "i1", "Permission denied")
    with pytest.raises(MailDirectoryRefused):
        await asking
    await close_channel(channel)
