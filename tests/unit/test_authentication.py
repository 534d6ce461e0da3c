"""Who is it? Right and wrong passwords of users and administrators, and the rule for wrong ones (P18)."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from scramp import ScramClient  # type: ignore[import-untyped]

from state_store.authentication import Authenticator
from state_store.memory_repository import MemoryRepository
from state_store.passwords import Passwords
from state_store.records import Credential
from state_store.scram import ScramExchange, ScramMalformed, new_verifier

ADDRESS = "192.0.2.1"
ELSEWHERE = "192.0.2.2"


class WatchedRepository(MemoryRepository):
    """Remembers what delays it asked for and who has got a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []
        self.turns: set[str] = set()
        self.asked: list[str] = []

    async def take_turn(self, address: str, ticket: str) -> bool:
        has_turn = await super().take_turn(address, ticket)
        if has_turn:
            self.turns.add(ticket)
        return has_turn

    async def note_wrong_password(self, address: str, ticket: str) -> float:
        self.delays.append(await super().note_wrong_password(address, ticket))
        return self.delays[-1]

    async def credential(self, username: str) -> Credential | None:
        self.asked.append("credential")
        return await super().credential(username)

    async def deployment_secret(self) -> str:
        self.asked.append("deployment secret")
        return await super().deployment_secret()


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


@pytest.fixture(scope="module")
def credential(passwords: Passwords) -> Credential:
    return Credential(passwords._hasher.hash("secret"), "v1", new_verifier("secret"))


@pytest.fixture
async def repository(credential: Credential) -> WatchedRepository:
    made = WatchedRepository()
    await made.add_user("alice", credential)
    await made.replace_administrators({"root": credential.password_hash})
    return made


@pytest.fixture
def authenticator(repository: WatchedRepository, passwords: Passwords) -> Authenticator:
    return Authenticator(repository, passwords)


async def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.001)


async def test_right_password_of_a_user_gives_the_credential_version(authenticator: Authenticator) -> None:
    assert await authenticator.check_user("alice", "secret", ADDRESS) == "v1"
    assert await authenticator.check_user("alice", "Secret", ADDRESS) is None
    assert await authenticator.check_user("nobody", "secret", ADDRESS) is None


async def test_administrators_and_users_are_different_people(authenticator: Authenticator) -> None:
    assert await authenticator.check_administrator("root", "secret", ADDRESS)
    assert not await authenticator.check_administrator("alice", "secret", ADDRESS)
    assert await authenticator.check_user("root", "secret", ADDRESS) is None


async def test_remembered_administrator_with_a_new_password_is_refused_the_old_one(
    authenticator: Authenticator, repository: WatchedRepository, passwords: Passwords
) -> None:
    assert await authenticator.check_administrator("root", "secret", ADDRESS)
    await repository.replace_administrators({"root": await passwords.new_hash("other")})
    assert not await authenticator.check_administrator("root", "secret", ADDRESS)
    assert await authenticator.check_administrator("root", "other", ADDRESS)


async def test_right_passwords_count_as_no_wrong_ones(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for _ in range(5):
        assert await authenticator.check_user("alice", "secret", ADDRESS)
    assert repository.delays == []
    assert not await repository.must_take_turn(ADDRESS)


async def test_queue_of_right_passwords_is_soon_over(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks while others wait has to wait as well: were each checked anew, the queue would never end."""
    checks = 0

    def matches(_: Passwords, password_hash: str, password: str) -> bool:
        nonlocal checks
        checks += 1
        return password == "secret"

    monkeypatch.setattr(Passwords, "_matches", matches)

    async def ask_again_and_again() -> None:
        for _ in range(5):
            assert await authenticator.check_administrator("root", "secret", ADDRESS)

    await asyncio.gather(*(ask_again_and_again() for _ in range(8)))
    assert checks <= 3


async def test_fourth_wrong_password_is_answered_after_a_quarter_of_a_second(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for name in ("alice", "nobody", "alice"):
        assert await authenticator.check_user(name, "wrong", ADDRESS) is None
    began = time.monotonic()
    assert not await authenticator.check_administrator("root", "wrong", ADDRESS)
    assert time.monotonic() - began >= 0.25
    assert repository.delays == [0, 0, 0, 0.25]


async def test_right_password_waits_for_its_turn_and_one_from_elsewhere_does_not(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for number in range(3):
        await repository.note_wrong_password(ADDRESS, f"t{number}")
    done: list[str] = []

    async def check(label: str, password: str, address: str) -> None:
        await authenticator.check_user("alice", password, address)
        done.append(label)

    wrong = asyncio.create_task(check("wrong", "wrong", ADDRESS))
    await until(lambda: len(repository.delays) == 4)
    right = asyncio.create_task(check("right", "secret", ADDRESS))
    await check("elsewhere", "secret", ELSEWHERE)
    await asyncio.gather(wrong, right)
    assert done == ["elsewhere", "wrong", "right"]


async def test_wrong_passwords_sent_side_by_side_are_checked_one_after_the_other(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for number in range(3):
        await repository.note_wrong_password(ADDRESS, f"t{number}")
    began = time.monotonic()
    await asyncio.gather(*(authenticator.check_user("alice", "wrong", ADDRESS) for _ in range(2)))
    assert time.monotonic() - began >= 0.25 + 0.5
    assert repository.delays[3:] == [0.25, 0.5]


async def test_client_that_leaves_during_the_delay_does_not_free_its_turn_early(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for number in range(3):
        await repository.note_wrong_password(ADDRESS, f"t{number}")
    gone = asyncio.create_task(authenticator.check_user("alice", "wrong", ADDRESS))
    await until(lambda: len(repository.delays) == 4)
    began = time.monotonic()
    gone.cancel()
    assert await authenticator.check_user("alice", "secret", ADDRESS) == "v1"
    assert time.monotonic() - began >= 0.2
    with suppress(asyncio.CancelledError):
        await gone


async def test_wrong_password_counts_though_its_client_leaves_during_the_check(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for number in range(3):
        gone = asyncio.create_task(authenticator.check_user("alice", "wrong", ADDRESS))
        await until(lambda turns=number + 1: len(repository.turns) == turns)  # type: ignore[misc]
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
    await until(lambda: repository.delays == [0, 0, 0])


async def test_client_that_leaves_while_it_waits_gives_up_its_place(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for number in range(3):
        await repository.note_wrong_password(ADDRESS, f"t{number}")
    assert await repository.take_turn(ADDRESS, "other")
    gone = asyncio.create_task(authenticator.check_user("alice", "secret", ADDRESS))
    await until(lambda: len(repository._attempts[ADDRESS].tickets) == 2)
    gone.cancel()
    await until(lambda: list(repository._attempts[ADDRESS].tickets) == ["other"])


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
) -> tuple[str, str] | None:
    exchange, client_final = await scram_answer(authenticator, scram_client(username, password))
    return await authenticator.finish_scram(exchange, client_final, address)


async def test_right_proof_gives_the_servers_own_and_the_credential_version(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    client = scram_client("alice", "secret")
    exchange, client_final = await scram_answer(authenticator, client)
    result = await authenticator.finish_scram(exchange, client_final, ADDRESS)
    assert result is not None
    server_final, version = result
    client.set_server_final(server_final)
    assert (exchange.username, version) == ("alice", "v1")
    assert repository.delays == []
    assert repository._attempts[ADDRESS].tickets == {}


@pytest.mark.parametrize(
    ("username", "password"), [("alice", "Secret"), ("nobody", "secret"), ("root", "secret")]
)
async def test_wrong_proof_gives_nothing_and_counts_as_a_wrong_password(
    authenticator: Authenticator, repository: WatchedRepository, username: str, password: str
) -> None:
    assert await scram_result(authenticator, username, password) is None
    assert repository.delays == [0]
    assert repository._attempts[ADDRESS].tickets == {}


async def test_password_set_before_there_were_verifiers_is_good_for_everything_but_scram(
    authenticator: Authenticator, repository: WatchedRepository, credential: Credential, passwords: Passwords
) -> None:
    await repository.add_user("old", Credential(credential.password_hash, "v1"))
    assert await scram_result(authenticator, "old", "secret") is None
    assert await authenticator.check_user("old", "secret", ADDRESS) == "v1"
    await repository.set_credential("old", await passwords.new_credential("secret"))
    assert await scram_result(authenticator, "old", "secret") is not None


async def test_scram_version_is_that_of_the_verifier_though_the_password_changes_meanwhile(
    authenticator: Authenticator, repository: WatchedRepository, passwords: Passwords
) -> None:
    exchange, client_final = await scram_answer(authenticator, scram_client("alice", "secret"))
    await repository.set_credential("alice", await passwords.new_credential("other"))
    result = await authenticator.finish_scram(exchange, client_final, ADDRESS)
    assert result is not None
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


async def test_fourth_wrong_password_is_answered_late_whichever_way_they_came(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    assert await authenticator.check_user("alice", "wrong", ADDRESS) is None
    for name in ("alice", "nobody"):
        assert await scram_result(authenticator, name, "wrong") is None
    exchange, client_final = await scram_answer(authenticator, scram_client("alice", "wrong"))
    began = time.monotonic()
    assert await authenticator.finish_scram(exchange, client_final, ADDRESS) is None
    assert time.monotonic() - began >= 0.25
    assert repository.delays == [0, 0, 0, 0.25]


async def test_client_that_leaves_during_the_delay_of_a_wrong_proof_does_not_free_its_turn_early(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for number in range(3):
        await repository.note_wrong_password(ADDRESS, f"t{number}")
    exchange, client_final = await scram_answer(authenticator, scram_client("alice", "wrong"))
    gone = asyncio.create_task(authenticator.finish_scram(exchange, client_final, ADDRESS))
    await until(lambda: len(repository.delays) == 4)
    began = time.monotonic()
    gone.cancel()
    assert await scram_result(authenticator, "alice", "secret") is not None
    assert time.monotonic() - began >= 0.2
    with suppress(asyncio.CancelledError):
        await gone


async def test_right_proof_waits_for_its_turn_and_one_from_elsewhere_does_not(
    authenticator: Authenticator, repository: WatchedRepository
) -> None:
    for number in range(3):
        await repository.note_wrong_password(ADDRESS, f"t{number}")
    assert await repository.take_turn(ADDRESS, "other")
    exchange, client_final = await scram_answer(authenticator, scram_client("alice", "secret"))
    waiting = asyncio.create_task(authenticator.finish_scram(exchange, client_final, ADDRESS))
    await until(lambda: len(repository._attempts[ADDRESS].tickets) == 2)
    assert await scram_result(authenticator, "alice", "secret", ELSEWHERE) is not None
    assert not waiting.done()
    await repository.end_turn(ADDRESS, "other")
    assert await waiting is not None
