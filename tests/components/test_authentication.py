"""Who is it? Right and wrong passwords of users and administrators."""

from collections.abc import AsyncIterator

import pytest
from scramp import ScramClient  # type: ignore[import-untyped]

from state_store.administrators import Role
from state_store.credentials.attempts import Attempt, Decision, Outcome, RefusalReason
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.credentials.scram import ScramExchange, ScramMalformed, new_verifier
from state_store.records import Credential
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords

ADDRESS = "192.0.2.1"
ELSEWHERE = "192.0.2.2"


class WatchedRepository(StateRepository):
    """Remembers what it was asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[str] = []
        self.outcomes: list[Outcome] = []

    async def end_attempt(
        self, attempt: Attempt, decision: Decision, outcome: Outcome, reason: RefusalReason | None = None
    ) -> None:
        self.outcomes.append(outcome)
        await super().end_attempt(attempt, decision, outcome, reason)

    async def credential(self, username: str) -> Credential | None:
        self.asked.append("credential")
        return await super().credential(username)

    async def deployment_secret(self) -> str:
        self.asked.append("deployment secret")
        return await super().deployment_secret()


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return cheap_passwords()


@pytest.fixture(scope="module")
def credential(passwords: Passwords) -> Credential:
    return Credential(passwords._hasher.hash("secret"), "v1", new_verifier("secret"))


@pytest.fixture
async def repository(redis_url: str, credential: Credential) -> AsyncIterator[WatchedRepository]:
    made = WatchedRepository(redis_url)
    await made.add_user("alice", credential, by=OPERATOR)
    await made.replace_administrators({"root": credential.password_hash}, by=OPERATOR)
    yield made
    await made.close()


@pytest.fixture
def authenticator(repository: WatchedRepository, passwords: Passwords) -> Authenticator:
    return Authenticator(repository, passwords)


async def test_right_password_of_a_user_gives_the_credential_version(authenticator: Authenticator) -> None:
    assert await authenticator.check_user("alice", "secret", ADDRESS) == "v1"
    assert await authenticator.check_user("alice", "Secret", ADDRESS) is RefusalReason.WRONG_PASSWORD
    assert await authenticator.check_user("nobody", "secret", ADDRESS) is RefusalReason.UNKNOWN_USER


async def test_administrators_and_users_are_different_people(authenticator: Authenticator) -> None:
    assert await authenticator.check_administrator("root", "secret", ADDRESS)
    assert not await authenticator.check_administrator("alice", "secret", ADDRESS)
    assert await authenticator.check_user("root", "secret", ADDRESS) is RefusalReason.UNKNOWN_USER


async def test_remembered_administrator_with_a_new_password_is_refused_the_old_one(
    authenticator: Authenticator, repository: WatchedRepository, passwords: Passwords
) -> None:
    assert await authenticator.check_administrator("root", "secret", ADDRESS)
    await repository.replace_administrators({"root": await passwords.new_hash("other")}, by=OPERATOR)
    assert not await authenticator.check_administrator("root", "secret", ADDRESS)
    assert await authenticator.check_administrator("root", "other", ADDRESS)


async def test_whose_role_is_too_little_is_refused_as_an_unknown_name_is_and_right_elsewhere(
    authenticator: Authenticator, repository: WatchedRepository, passwords: Passwords
) -> None:
    await repository.add_administrator("bob", Role.READ, await passwords.new_hash("secret"), by=OPERATOR)
    found = await authenticator.check_administrator("bob", "secret", ADDRESS)
    assert found is not None
    assert found.role is Role.READ
    # Remembered and known as it is, it is judged here like a wrong one, and again like the same wrong one.
    for _ in range(2):
        assert await authenticator.check_administrator("bob", "secret", ADDRESS, role=Role.ALL) is None
    assert repository.outcomes == [Outcome.RIGHT, Outcome.WRONG]
    assert await authenticator.check_administrator("bob", "secret", ADDRESS) == found
    for name in ("nobody", "bob"):
        assert await authenticator.check_administrator(name, "wrong", ADDRESS, role=Role.ALL) is None
    assert repository.outcomes[2:] == [Outcome.WRONG] * 2


# SCRAM


def scram_client(username: str, password: str) -> ScramClient:
    return ScramClient(["SCRAM-SHA-256"], username, password)


async def scram_answer(authenticator: Authenticator, client: ScramClient) -> tuple[ScramExchange, str]:
    """Lead a client's dialogue up to its last message, and return both."""
    exchange = await authenticator.begin_scram(client.get_client_first())
    client.set_server_first(exchange.challenge)
    return exchange, client.get_client_final()


async def scram_result(
    authenticator: Authenticator, username: str, password: str, address: str = ADDRESS
) -> tuple[str, str] | RefusalReason:
    exchange, client_final = await scram_answer(authenticator, scram_client(username, password))
    return await authenticator.finish_scram(exchange, client_final, address)


async def test_right_proof_gives_the_servers_own_and_the_credential_version(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    client = scram_client("alice", "secret")
    exchange, client_final = await scram_answer(authenticator, client)
    result = await authenticator.finish_scram(exchange, client_final, ADDRESS)
    assert not isinstance(result, RefusalReason)
    server_final, version = result
    client.set_server_final(server_final)
    assert (exchange.username, version) == ("alice", "v1")
    assert repository.outcomes == [Outcome.RIGHT]


@pytest.mark.parametrize(
    ("username", "password"), [("alice", "Secret"), ("nobody", "secret"), ("root", "secret")]
)
async def test_wrong_proof_gives_nothing_and_counts_as_a_wrong_password(
    authenticator: Authenticator, repository: WatchedRepository, username: str, password: str
) -> None:
    assert isinstance(await scram_result(authenticator, username, password), RefusalReason)
    assert repository.outcomes == [Outcome.WRONG]


async def test_password_set_before_there_were_verifiers_is_good_for_everything_but_scram(
    authenticator: Authenticator, repository: WatchedRepository, credential: Credential, passwords: Passwords
) -> None:
    await repository.add_user("old", Credential(credential.password_hash, "v1"), by=OPERATOR)
    assert await scram_result(authenticator, "old", "secret") is RefusalReason.WRONG_PASSWORD
    assert await authenticator.check_user("old", "secret", ADDRESS) == "v1"
    await repository.set_credential("old", await passwords.new_credential("secret"), by=OPERATOR)
    assert not isinstance(await scram_result(authenticator, "old", "secret"), RefusalReason)


async def test_scram_version_is_that_of_the_verifier_though_the_password_changes_meanwhile(
    authenticator: Authenticator, repository: WatchedRepository, passwords: Passwords
) -> None:
    exchange, client_final = await scram_answer(authenticator, scram_client("alice", "secret"))
    await repository.set_credential("alice", await passwords.new_credential("other"), by=OPERATOR)
    result = await authenticator.finish_scram(exchange, client_final, ADDRESS)
    assert not isinstance(result, RefusalReason)
    assert result[1] == "v1"


async def test_unknown_user_has_one_salt_at_every_replica(
    repository: WatchedRepository, passwords: Passwords
) -> None:
    challenges = [
        (await Authenticator(repository, passwords).begin_scram("n,,n=nobody,r=x")).challenge
        for _ in range(2)
    ]
    salts = {challenge.split(",")[1] for challenge in challenges}
    assert len(salts) == 1
    assert len(set(challenges)) == 2


async def test_unknown_user_is_asked_for_in_the_same_steps_as_a_known_one(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    await authenticator.begin_scram("n,,n=alice,r=x")
    steps = []
    for name in ("alice", "nobody"):
        repository.asked.clear()
        await scram_result(authenticator, name, "wrong")
        steps.append([*repository.asked])
    assert steps == [["credential"], ["credential"]]


async def test_malformed_first_message_asks_the_store_nothing(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    with pytest.raises(ScramMalformed):
        await authenticator.begin_scram("n,a=root,n=alice,r=x")
    assert repository.asked == []
