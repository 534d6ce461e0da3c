"""Passwords: argon2id hashes, and the memory of what was right."""

from collections.abc import Iterator

import argon2
import pytest

from state_store import passwords as passwords_module
from state_store.passwords import MEMORY_KIBIBYTES, Passwords
from state_store.records import Credential


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_hash_is_argon2id_of_the_size_we_say(passwords: Passwords) -> None:
    parameters = argon2.extract_parameters(await passwords.new_hash("secret"))
    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost, parameters.time_cost) == (MEMORY_KIBIBYTES, 2)


async def test_same_password_gets_another_hash_and_version_each_time(passwords: Passwords) -> None:
    one, other = await passwords.new_credential("secret"), await passwords.new_credential("secret")
    assert one.password_hash != other.password_hash
    assert one.version != other.version
    assert " " not in one.version


async def test_right_password_is_right_and_remembered_for_its_version(passwords: Passwords) -> None:
    credential = await passwords.new_credential("secret")
    assert passwords.recall("alice", "secret") is None
    assert await passwords.is_right("alice", credential, "secret")
    assert passwords.recall("alice", "secret") == credential.version
    assert passwords.recall("alice", "Secret") is None
    assert passwords.recall("Alice", "secret") is None


async def test_wrong_password_is_wrong_and_not_remembered(passwords: Passwords) -> None:
    credential = await passwords.new_credential("secret")
    for wrong in ("Secret", "secret ", "", "x" * 128):
        assert not await passwords.is_right("alice", credential, wrong)
        assert passwords.recall("alice", wrong) is None


async def test_forgotten_user_is_not_recalled(passwords: Passwords) -> None:
    credential = await passwords.new_credential("secret")
    await passwords.is_right("alice", credential, "secret")
    passwords.forget("alice")
    passwords.forget("nobody")
    assert passwords.recall("alice", "secret") is None


async def test_unknown_user_is_checked_against_a_hash_of_the_same_cost(passwords: Passwords) -> None:
    real = argon2.extract_parameters(await passwords.new_hash("secret"))
    assert argon2.extract_parameters(passwords._nobody) == real
    assert not await passwords.is_right("nobody", None, "secret")
    assert passwords.recall("nobody", "secret") is None


async def test_damaged_hash_fits_no_password(passwords: Passwords) -> None:
    assert not await passwords.is_right("alice", Credential("no hash at all", "v1"), "no hash at all")


async def test_memory_holds_no_password_to_read(passwords: Passwords) -> None:
    await passwords.is_right("alice", await passwords.new_credential("hunter2"), "hunter2")
    assert "alice" in repr(passwords._remembered)
    assert "hunter2" not in repr(passwords._remembered)


async def test_memory_is_bounded_and_forgets_the_one_checked_longest_ago(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords_module, "REMEMBERED_USERS", 2)
    credential = await passwords.new_credential("secret")
    for name in ("a", "b", "a", "c"):
        assert await passwords.is_right(name, credential, "secret")
    remembered = [name for name in ("a", "b", "c") if passwords.recall(name, "secret")]
    assert remembered == ["a", "c"]
