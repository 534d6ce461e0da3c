"""Passwords: argon2id hashes, and the memory of what was right."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import argon2
import pytest
from scramp import ScramClient  # type: ignore[import-untyped]

from state_store.credentials import passwords as passwords_module
from state_store.credentials.passwords import MEMORY_KIBIBYTES, NICENESS, STRANGERS_NICENESS, Passwords
from state_store.credentials.scram import ClientFirst, ScramExchange
from state_store.records import Credential
from support.cheap_passwords import cheap_passwords


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = cheap_passwords()
    yield made
    made.close()


async def test_hash_is_argon2id_of_the_size_we_say() -> None:
    passwords = Passwords()
    parameters = argon2.extract_parameters(await passwords.new_hash("secret"))
    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost, parameters.time_cost) == (MEMORY_KIBIBYTES, 2)
    assert await passwords.is_right("alice", Credential(await passwords.new_hash("secret"), "v1"), "secret")
    passwords.close()


async def test_same_password_gets_another_hash_and_version_each_time(passwords: Passwords) -> None:
    one, other = await passwords.new_credential("secret"), await passwords.new_credential("secret")
    assert one.password_hash != other.password_hash
    assert one.version != other.version
    assert one.scram_verifier != other.scram_verifier
    assert " " not in one.version + one.password_hash + one.scram_verifier


async def test_new_credential_fits_its_password_in_both_ways(passwords: Passwords) -> None:
    credential = await passwords.new_credential("p\u00e4ss word")
    assert await passwords.is_right("alice", credential, "p\u00e4ss word")
    client = ScramClient(["SCRAM-SHA-256"], "alice", "p\u00e4ss word")
    exchange = ScramExchange(ClientFirst.parse(client.get_client_first()), credential, "secret")
    client.set_server_first(exchange.challenge)
    client.set_server_final(exchange.finish(client.get_client_final()))


async def test_new_credential_is_made_away_from_the_event_loop(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: list[str] = []

    def noted(password: str) -> str:
        makers.append(threading.current_thread().name)
        return f"verifier of {len(password)} characters"

    monkeypatch.setattr(passwords_module, "new_verifier", noted)
    credential = await passwords.new_credential("secret")
    assert credential.scram_verifier == "verifier of 6 characters"
    assert [name.partition("_")[0] for name in makers] == ["argon2"]


async def test_credential_shows_none_of_its_secrets(passwords: Passwords) -> None:
    credential = await passwords.new_credential("secret")
    assert credential.version in repr(credential)
    assert credential.password_hash not in repr(credential)
    assert credential.scram_verifier not in repr(credential)


async def test_right_password_is_right_and_remembered_for_its_version(passwords: Passwords) -> None:
    credential = await passwords.new_credential("secret")
    assert passwords.recall("alice", "secret") is None
    assert await passwords.is_right("alice", credential, "secret")
    assert passwords.recall("alice", "secret") == credential.version
    assert passwords.recall("alice", "Secret") is None
    assert passwords.recall("Alice", "secret") is None


async def test_remembered_password_is_checked_anew_for_another_credential(passwords: Passwords) -> None:
    assert await passwords.is_right("alice", await passwords.new_credential("secret"), "secret")
    assert not await passwords.is_right("alice", await passwords.new_credential("other"), "secret")
    assert not await passwords.is_right("alice", None, "secret")


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


async def test_remembered_password_is_compared_with_so_many_guesses_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords_module, "GUESSES", 5)
    passwords = cheap_passwords()
    credential = await passwords.new_credential("secret")
    assert await passwords.is_right("alice", credential, "secret")
    for _ in range(100):
        assert passwords.recall("alice", "a stale one") is None
        assert passwords.recall("alice", "secret") == credential.version
    for number in range(4):
        assert passwords.recall("alice", f"wrong{number}") is None
    assert passwords.recall("alice", "secret") is None
    assert await passwords.is_right("alice", credential, "secret")
    assert passwords.recall("alice", "secret") is None  # being right once gives a guesser nothing back
    passwords.close()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux alone")
async def test_threads_that_check_passwords_stand_back_behind_those_that_serve() -> None:
    passwords = cheap_passwords()
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    known = passwords._threads.submit(niceness).result(20)
    stranger = passwords._strangers_threads.submit(niceness).result(20)
    assert (known, stranger) == (max(own, NICENESS), max(own, STRANGERS_NICENESS))
    assert NICENESS < STRANGERS_NICENESS
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    passwords.close()


async def test_checks_of_one_network_hold_up_no_other_network() -> None:
    passwords = cheap_passwords()
    credential = await passwords.new_credential("secret")
    order: list[str] = []

    async def check(name: str, network: str) -> None:
        assert await passwords.is_right(name, credential, "secret", network=network)
        order.append(name)

    crowd = [asyncio.create_task(check(f"user{number}", "192.0.2.1")) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(*crowd, check("alice", "198.51.100.1"))
    passwords.close()
    assert order.index("alice") < 5
