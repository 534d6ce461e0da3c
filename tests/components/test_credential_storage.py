"""How credentials and the deployment's secret are kept in Redis."""

import asyncio

import pytest
import redis

from state_store.errors import StoreEmptied, UserExists
from state_store.records import Credential, Exchange, Instance, Login, LoginOutcome
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
VERIFIER = "SCRAM-SHA-256$15000:c2FsdA==$c3RvcmVk:c2VydmVy"
CREDENTIAL = Credential(HASH, "v1", VERIFIER)
OLD_CREDENTIAL = Credential(HASH, "v1")


@pytest.mark.parametrize("credential", [CREDENTIAL, OLD_CREDENTIAL], ids=["with verifier", "without"])
async def test_credential_comes_back_as_it_was_stored(
    repository: StateRepository, credential: Credential
) -> None:
    await repository.add_user("alice", credential, by=OPERATOR)
    assert await repository.credential("alice") == credential


async def test_new_credential_of_a_password_comes_back_whole(repository: StateRepository) -> None:
    passwords = cheap_passwords()
    credential = await passwords.new_credential("secret")
    passwords.close()
    await repository.add_user("alice", credential, by=OPERATOR)
    assert await repository.credential("alice") == credential


async def test_new_password_replaces_the_verifier_too(repository: StateRepository) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.set_credential("alice", OLD_CREDENTIAL, by=OPERATOR)
    assert await repository.credential("alice") == OLD_CREDENTIAL
    await repository.set_credential("alice", CREDENTIAL, by=OPERATOR)
    assert await repository.credential("alice") == CREDENTIAL


async def test_adding_a_user_again_is_a_retry_only_with_the_same_verifier(
    repository: StateRepository,
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    with pytest.raises(UserExists):
        await repository.add_user("alice", OLD_CREDENTIAL, by=OPERATOR)
    assert await repository.credential("alice") == CREDENTIAL


async def test_login_is_opened_for_the_version_of_a_credential_with_a_verifier(
    repository: StateRepository,
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.register_instance(Instance("i1", "host.example", 42, "1.2.3", 1000.0))
    logins = [Login("alice", "s1", version, "192.0.2.1") for version in ("v", "v1")]
    result = await repository.exchange(Exchange("i1", 1, logins=logins))
    assert result.logins == [LoginOutcome.CREDENTIAL_CHANGED, LoginOutcome.OPENED]


async def test_secret_stays_the_same_and_is_long_enough_to_be_one(repository: StateRepository) -> None:
    secret = await repository.deployment_secret()
    assert len(secret) >= 64
    assert await repository.deployment_secret() == secret


async def test_deployments_have_different_secrets(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    secret = await repository.deployment_secret()
    behind_the_scenes.flushall()
    assert await repository.deployment_secret() != secret


async def test_an_emptied_store_that_is_accepted_has_one_secret_for_old_and_new_replicas(
    redis_url: str, repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.attend()
    before = await repository.remembered_secret()
    behind_the_scenes.flushall()
    with pytest.raises(StoreEmptied):
        await repository.attend()
    newcomer = StateRepository(redis_url)
    await newcomer.accept(by=OPERATOR)
    await repository.attend()
    after = await newcomer.remembered_secret()
    assert before != await repository.remembered_secret() == after
    await newcomer.close()


async def test_replicas_that_ask_at_the_same_time_get_one_secret(
    redis_url: str, behind_the_scenes: redis.Redis
) -> None:
    replicas = [StateRepository(redis_url) for _ in range(8)]
    secrets = await asyncio.gather(*(replica.deployment_secret() for replica in replicas))
    await asyncio.gather(*(replica.close() for replica in replicas))
    kept = behind_the_scenes.get(keys.SECRET)
    assert isinstance(kept, bytes | str)
    assert set(secrets) == {kept if isinstance(kept, str) else kept.decode()}


async def test_credential_stored_before_there_were_verifiers_is_read(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    behind_the_scenes.hset(keys.CREDENTIALS, "alice", f"v1 {HASH}")
    assert await repository.credential("alice") == OLD_CREDENTIAL


async def test_credential_is_kept_as_three_words(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.add_user("old", OLD_CREDENTIAL, by=OPERATOR)
    kept = behind_the_scenes.hgetall(keys.CREDENTIALS)
    assert sorted(kept.values()) == [f"v1 {HASH}", f"v1 {HASH} {VERIFIER}"]
