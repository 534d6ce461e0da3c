"""Users with another server's hash: the first login makes it one of ours, whatever else happens then."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis
from scramp import ScramClient  # type: ignore[import-untyped]

from state_store.credentials.attempts import RefusalReason
from state_store.credentials.authentication import Authenticator
from state_store.credentials.hashes.imported import PLAIN, imported_hash
from state_store.credentials.passwords import Passwords
from state_store.credentials.scram import ScramExchange
from state_store.errors import UserExists
from state_store.records import Added, Credential, HashCounts
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords
from support.foreign_hashes import PASSWORD, ForeignHash, one_of_each_scheme

ADDRESS = "192.0.2.1"

BY_SCHEME = {made.scheme: made for made in one_of_each_scheme()}
SSHA = BY_SCHEME["SSHA"]
SCRAM = BY_SCHEME["SCRAM-SHA-256"]


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return cheap_passwords()


@pytest.fixture
async def other_passwords() -> AsyncIterator[Passwords]:
    """Give those of another process, which remembers nothing."""
    made = cheap_passwords()
    yield made
    made.close()


@pytest.fixture
def authenticator(repository: StateRepository, passwords: Passwords) -> Authenticator:
    return Authenticator(repository, passwords)


async def credential_of(passwords: Passwords, made: ForeignHash) -> Credential:
    """Return the credential that an import of this hash makes."""
    return await passwords.imported_credential(imported_hash(made.text, allow_weak=True))


async def log_in_by_scram(authenticator: Authenticator, username: str, password: str) -> bool:
    """Return whether SCRAM with this password succeeds."""
    client = ScramClient(["SCRAM-SHA-256"], username, password)
    exchange = await authenticator.begin_scram(client.get_client_first())
    client.set_server_first(exchange.challenge)
    proved = await authenticator.finish_scram(exchange, client.get_client_final(), ADDRESS)
    return not isinstance(proved, RefusalReason)


def challenge_shape(exchange: ScramExchange) -> tuple[str, int]:
    """Return what a challenge shows: its iterations, and how long its salt is."""
    _, salt, iterations = exchange.challenge.split(",")
    return iterations, len(salt)


@pytest.mark.parametrize("made", BY_SCHEME.values(), ids=str)
async def test_first_login_makes_a_foreign_hash_one_of_ours(
    made: ForeignHash, repository: StateRepository, authenticator: Authenticator, passwords: Passwords
) -> None:
    before = await credential_of(passwords, made)
    await repository.add_user("alice", before, by=OPERATOR)
    has_scram = made.scheme in {"SCRAM-SHA-256", PLAIN}
    assert await log_in_by_scram(authenticator, "alice", PASSWORD) is has_scram
    assert (await repository.hash_counts()).by_scheme == ({} if made.scheme == PLAIN else {made.scheme: 1})
    assert await authenticator.check_user("alice", "wrong", ADDRESS) is RefusalReason.WRONG_PASSWORD
    assert await repository.credential("alice") == before
    assert await authenticator.check_user("alice", PASSWORD, ADDRESS) == before.version
    after = await repository.credential("alice")
    assert after is not None
    assert after.version == before.version
    assert after.password_hash.startswith("$argon2id$")
    assert await repository.hash_counts() == HashCounts(1)
    assert await log_in_by_scram(authenticator, "alice", PASSWORD)
    assert await authenticator.check_user("alice", "wrong again", ADDRESS) is RefusalReason.WRONG_PASSWORD


async def test_two_logins_at_once_leave_one_hash_of_ours(
    repository: StateRepository, passwords: Passwords, other_passwords: Passwords
) -> None:
    before = await credential_of(passwords, SSHA)
    await repository.add_user("alice", before, by=OPERATOR)
    replicas = [Authenticator(repository, passwords), Authenticator(repository, other_passwords)]
    tried = [replica.check_user("alice", PASSWORD, ADDRESS) for replica in replicas * 3]
    assert set(await asyncio.gather(*tried)) == {before.version}
    assert await repository.hash_counts() == HashCounts(1)
    assert await log_in_by_scram(replicas[0], "alice", PASSWORD)


class SlowStore(StateRepository):
    """Lets something else happen before a renewed hash is kept."""

    meanwhile: Credential | None = None

    async def renew_credential(self, username: str, credential: Credential) -> None:
        if self.meanwhile is None:
            await self.remove_user(username, by=OPERATOR)
        else:
            await self.set_credential(username, self.meanwhile, by=OPERATOR)
        await super().renew_credential(username, credential)


@pytest.fixture
async def slow_store(redis_url: str) -> AsyncIterator[SlowStore]:
    store = SlowStore(redis_url)
    yield store
    await store.close()


async def test_password_that_is_changed_during_a_first_login_stays_changed(
    slow_store: SlowStore, passwords: Passwords
) -> None:
    await slow_store.add_user("alice", await credential_of(passwords, SSHA), by=OPERATOR)
    slow_store.meanwhile = await passwords.new_credential("changed")
    await Authenticator(slow_store, passwords).check_user("alice", PASSWORD, ADDRESS)
    assert await slow_store.credential("alice") == slow_store.meanwhile
    assert await slow_store.hash_counts() == HashCounts(1)


async def test_foreign_hash_that_is_imported_during_a_first_login_stays(
    slow_store: SlowStore, passwords: Passwords
) -> None:
    await slow_store.add_user("alice", await credential_of(passwords, SSHA), by=OPERATOR)
    slow_store.meanwhile = await credential_of(passwords, BY_SCHEME["BLF-CRYPT"])
    await Authenticator(slow_store, passwords).check_user("alice", PASSWORD, ADDRESS)
    assert await slow_store.credential("alice") == slow_store.meanwhile
    assert (await slow_store.hash_counts()).by_scheme == {"BLF-CRYPT": 1}


async def test_user_who_is_removed_during_a_first_login_stays_removed(
    slow_store: SlowStore, passwords: Passwords
) -> None:
    await slow_store.add_user("alice", await credential_of(passwords, SSHA), by=OPERATOR)
    await Authenticator(slow_store, passwords).check_user("alice", PASSWORD, ADDRESS)
    assert await slow_store.credential("alice") is None
    assert await slow_store.hash_counts() == HashCounts(0)


async def test_users_without_a_verifier_are_challenged_like_unknown_names(
    repository: StateRepository, authenticator: Authenticator, passwords: Passwords
) -> None:
    await repository.add_user("alice", await credential_of(passwords, SSHA), by=OPERATOR)
    shapes = {
        challenge_shape(await authenticator.begin_scram(f"n,,n={name},r=0123456789"))
        for name in ("alice", "nobody")
    }
    assert shapes == {("i=15000", len("s=") + 24)}


async def test_imported_verifiers_do_not_tell_their_users_from_unknown_names(
    repository: StateRepository, authenticator: Authenticator, passwords: Passwords
) -> None:
    imported = await credential_of(passwords, SCRAM)
    await repository.add_user("old", imported, by=OPERATOR)
    assert challenge_shape(await authenticator.begin_scram("n,,n=old,r=0123456789")) == ("i=4096", 26)
    await repository.remove_user("old", by=OPERATOR)
    own = await passwords.new_credential("secret")
    await repository.add_users([(f"own{number}", own) for number in range(10)], by=OPERATOR)
    await repository.add_users([(f"old{number}", imported) for number in range(30)], by=OPERATOR)

    async def shares() -> float:
        found = [
            challenge_shape(await authenticator.begin_scram(f"n,,n=nobody{number},r=0123456789"))
            for number in range(400)
        ]
        assert set(found) <= {("i=4096", 26), ("i=15000", 26)}
        return found.count(("i=4096", 26)) / len(found)

    assert 0.65 < await shares() < 0.85
    await repository.add_users([(f"old{number}", own) for number in range(20)], update=True, by=OPERATOR)
    assert 0.15 < await shares() < 0.35
    await repository.add_users([(f"old{number}", own) for number in range(30)], update=True, by=OPERATOR)
    assert await shares() == 0


async def test_hash_with_absurd_costs_in_the_store_is_never_run(
    repository: StateRepository, authenticator: Authenticator, behind_the_scenes: redis.Redis
) -> None:
    costly = {
        "alice": "{BLF-CRYPT,31}$2b$31$" + "." * 53,
        "bob": "{SHA512-CRYPT,5}$6$rounds=999999999$a$" + "." * 86,
    }
    for name, text in costly.items():
        behind_the_scenes.hset(keys.CREDENTIALS, name, f"v1 {text}")
    behind_the_scenes.hset(keys.IMPORTED_HASHES, mapping={"BLF-CRYPT,31": 1, "SHA512-CRYPT,999999999": 1})
    for name in costly:
        assert await authenticator.check_user(name, "wrong", ADDRESS) is RefusalReason.WRONG_PASSWORD
    assert await authenticator.check_user("nobody", "wrong", ADDRESS) is RefusalReason.UNKNOWN_USER


# Many users in one step


async def test_users_are_added_left_or_updated(repository: StateRepository, passwords: Passwords) -> None:
    own, foreign = await passwords.new_credential("secret"), await credential_of(passwords, SSHA)
    assert await repository.add_users([("alice", own), ("bob", foreign)], by=OPERATOR) == [
        Added.ADDED,
        Added.ADDED,
    ]
    users = [("alice", foreign), ("bob", foreign), ("carol", own), ("carol", foreign)]
    assert await repository.add_users(users, by=OPERATOR) == [
        Added.EXISTS,
        Added.ADDED,
        Added.ADDED,
        Added.EXISTS,
    ]
    assert await repository.credentials(["alice", "nobody", "carol"]) == [own, None, own]
    assert await repository.add_users([("alice", foreign), ("dave", own)], update=True, by=OPERATOR) == [
        Added.UPDATED,
        Added.ADDED,
    ]
    assert await repository.hash_counts() == HashCounts(4, {"SSHA": 2})
    assert await repository.usernames() == ["alice", "bob", "carol", "dave"]
    with pytest.raises(UserExists):
        await repository.add_user("alice", own, by=OPERATOR)


async def test_trial_changes_nothing(repository: StateRepository, passwords: Passwords) -> None:
    own, foreign = await passwords.new_credential("secret"), await credential_of(passwords, SSHA)
    await repository.add_user("alice", own, by=OPERATOR)
    users = [("alice", foreign), ("bob", foreign), ("bob", own)]
    assert await repository.add_users(users, is_trial=True, by=OPERATOR) == [
        Added.EXISTS,
        Added.ADDED,
        Added.EXISTS,
    ]
    assert await repository.add_users(users, update=True, is_trial=True, by=OPERATOR) == [
        Added.UPDATED,
        Added.ADDED,
        Added.UPDATED,
    ]
    assert await repository.usernames() == ["alice"]
    assert await repository.credential("alice") == own
    assert await repository.hash_counts() == HashCounts(1)
