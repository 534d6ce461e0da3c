"""FLUSHALL, an empty volume, another deployment's Redis: no user is told that the password is wrong."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
import redis

from pop3_service.deployment_mark import MARK, read_mark, write_mark
from state_store.errors import StoreEmptied, StoreUnavailable
from state_store.records import Credential
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.peep_program import PeepSession, port_of, program
from support.pop3_process import PASSWORD as USERS_PASSWORD
from support.pop3_process import Pop3Process, wait_until
from support.redis_server import RedisServer

CREDENTIAL = Credential("$argon2id$one", "v1")
ANOTHER = "b" * 40
LOUD = "THE STORE HAS LOST ITS USERS"
SHOWS_WITHIN_SECONDS = 30.0
SOON = {"state_store.instance.exchanges.RENEWAL_SECONDS": 0.5}
"""A POP3 process notices at its next renewal."""


class System:
    """All three services, where users have logged in."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.redis = stack.enter_context(RedisServer())
        self.pop3 = stack.enter_context(Pop3Process(self.redis.url, folder, periods=SOON))
        self.logs = {"pop3_service": self.pop3.log}
        for name in ("peep_gateway", "state_api"):
            self.logs[name] = folder / f"{name}.log"
            stack.enter_context(program(name, self.logs[name], self.redis.url))
        self.http_port = port_of("state_api", self.logs["state_api"])
        self.peep_port = port_of("peep_gateway", self.logs["peep_gateway"])

    def ready(self) -> tuple[int, str]:
        answer = httpx.get(f"http://127.0.0.1:{self.http_port}/readyz", timeout=30)
        return answer.status_code, answer.json().get("detail", "")

    def login(self, username: str, password: str = USERS_PASSWORD) -> bytes:
        """Return what a login is told, be it at the greeting."""
        with self.pop3.connect() as client:
            if client.greeting.startswith(b"-ERR"):
                return client.greeting
            client.ask(f"USER {username}")
            return client.ask(f"PASS {password}")

    def takes_the_administrator(self) -> bool:
        with suppress(AssertionError), PeepSession(self.peep_port):
            return True
        return False

    def serves(self, username: str) -> bool:
        """Return whether each service has found the store as it should be; none waits for another."""
        return (
            self.ready()[0] == 200
            and self.takes_the_administrator()
            and self.login(username).startswith(b"+OK")
        )

    def accept(self, *command: str) -> str:
        """Do what the operator does who goes on without the users."""
        given = {name: value for name, value in os.environ.items() if not name.startswith("PEEP")}
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env={**given, "PEEP_REDIS_URL": self.redis.url},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    def loud_lines(self) -> dict[str, int]:
        return {name: log.read_text().count(f'"event": "{LOUD}"') for name, log in self.logs.items()}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with ExitStack() as stack:
        yield System(tmp_path_factory.mktemp("system"), stack)


def test_users_that_are_put_back_need_no_word(system: System) -> None:
    username = system.pop3.add_user(b"Subject: a\n\nb\n")
    assert system.login(username).startswith(b"+OK")
    wait_until(lambda: not system.pop3.logged_in_users(), "the maildrop is free")
    with system.redis.client() as client:
        raw = redis.Redis.from_url(system.redis.url)
        backup = {name: raw.dump(name) for name in raw.keys("*")}
        client.flushall()
        wait_until(lambda: system.ready()[0] == 503, "not ready", SHOWS_WITHIN_SECONDS)
        assert system.login(username).startswith(b"-ERR [SYS/TEMP]")
        with raw.pipeline() as put_back:  # in one step, as a server that starts with a backup has it
            put_back.flushall()
            for name, value in backup.items():
                if value is not None:  # else its time was over
                    put_back.restore(name, 0, value, replace=True)
            put_back.execute()
        raw.close()
    wait_until(lambda: system.serves(username), "served", SHOWS_WITHIN_SECONDS)


def test_emptied_store_costs_no_client_its_password_and_goes_on_when_an_operator_says_so(
    system: System,
) -> None:
    username = system.pop3.add_user(b"Subject: a\n\nb\n")
    newcomer = system.pop3.add_user(b"Subject: a\n\nb\n")
    assert system.login(username).startswith(b"+OK")
    mark = system.pop3.mail / MARK
    wait_until(mark.exists, "the mail directory is marked")
    assert system.ready() == (200, "")
    before = system.loud_lines()
    with PeepSession(system.peep_port) as session:
        system.redis.flush()

        def is_loud_once_more() -> bool:
            return all(count == before[name] + 1 for name, count in system.loud_lines().items())

        def have_all_noticed() -> bool:
            for name in (username, newcomer):
                assert system.login(name).startswith(b"-ERR [SYS/TEMP]")
            status, detail = system.ready()
            return (status, "peepctl store accept" in detail) == (503, True) and is_loud_once_more()

        wait_until(have_all_noticed, "everybody has noticed in its own way", SHOWS_WITHIN_SECONDS)
        assert session.ask("cc?") == b"-8\r\n"
        assert session.ask("u+ mallory secret") == b"-8\r\n"
        assert have_all_noticed()
        assert (
            system.accept("peepctl", "store", "accept")
            == "accepted: the services go on with this Redis as it is\n"
        )
        wait_until(lambda: system.ready()[0] == 200, "ready", SHOWS_WITHIN_SECONDS)
        # The store that knew this sign-in is gone, and the administrator's hash another one.
        wait_until(lambda: session.ask("cc?") == b"-2\r\n", "answered again", SHOWS_WITHIN_SECONDS)
    # Seen in the store: a refused attempt would count as a wrong password.
    with system.redis.client() as client:
        wait_until(
            lambda: client.exists(keys.ADMINISTRATORS) == 1,
            "the administrators are back",
            SHOWS_WITHIN_SECONDS,
        )

    def is_added() -> bool:
        # Both front ends put them back, each with a hash of its own: the second ends sign-ins of the first.
        with suppress(AssertionError), PeepSession(system.peep_port) as session:
            return session.ask(f"u+ {username} other") == b"+\r\n"
        return False

    wait_until(is_added, "an administrator signs in and adds a user", SHOWS_WITHIN_SECONDS)
    with PeepSession(system.peep_port) as session:
        directory = f"+{system.pop3.mail}\r\n".encode()
        wait_until(
            lambda: session.ask("m?") == directory, "POP3 has said where mail is", SHOWS_WITHIN_SECONDS
        )
    wait_until(
        lambda: system.login(username, "other").startswith(b"+OK 1 message"),
        "POP3 serves",
        SHOWS_WITHIN_SECONDS,
    )
    assert system.login(newcomer).startswith(b"-ERR [AUTH]")
    wait_until(lambda: read_mark(str(system.pop3.mail)) != "", "the mark is the new deployment's")


def test_services_that_start_beside_an_empty_volume_know_it_by_the_mark(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    write_mark(str(tmp_path / "mail"), ANOTHER)
    with ExitStack() as stack:
        system = System(tmp_path, stack)
        assert system.login("alice").startswith(b"-ERR [SYS/TEMP]")
        wait_until(lambda: system.ready()[0] == 503, "not ready", SHOWS_WITHIN_SECONDS)
        wait_until(lambda: system.loud_lines()["pop3_service"] == 1, "POP3 is loud")
        system.accept("service_runtime.acceptance")
        wait_until(lambda: system.ready()[0] == 200, "ready", SHOWS_WITHIN_SECONDS)
        username = system.pop3.add_user(b"Subject: a\n\nb\n")
        wait_until(lambda: system.login(username).startswith(b"+OK"), "served", SHOWS_WITHIN_SECONDS)


# What the store says, one process at a time


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[StateRepository]:
    made = StateRepository(redis_url)
    yield made
    await made.close()


async def test_deployment_without_users_has_nothing_to_lose(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.replace_administrators({"root": "$argon2id$"}, by=OPERATOR)
    behind_the_scenes.flushall()
    assert await repository.credential("alice") is None
    await repository.attend()


async def test_unknown_user_of_an_emptied_store_is_no_unknown_user(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.attend()
    behind_the_scenes.flushall()
    with pytest.raises(StoreEmptied):
        await repository.credential("alice")
    with pytest.raises(StoreUnavailable):
        await repository.counters()


async def test_store_that_lost_its_users_is_refused_by_those_who_never_saw_them(
    repository: StateRepository, other: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.attend()
    behind_the_scenes.flushall()
    await other.prepare()
    await other.attend()
    with pytest.raises(StoreEmptied):
        await repository.attend()
    with pytest.raises(StoreEmptied):
        await other.attend()


async def test_newcomer_of_another_deployment_serves_nobody_and_changes_nothing_for_others(
    repository: StateRepository, other: StateRepository
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.attend()
    other.deployment = ANOTHER
    await other.prepare()
    with pytest.raises(StoreEmptied):
        await other.credential("alice")
    await repository.attend()
    assert await repository.credential("alice") == CREDENTIAL


async def test_backup_of_a_version_before_is_taken_for_what_it_is(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    await repository.attend()
    behind_the_scenes.delete(keys.DEPLOYMENT)
    await repository.attend()
    assert behind_the_scenes.get(keys.DEPLOYMENT) == repository.deployment


async def test_store_that_was_accepted_is_missed_anew_when_it_is_emptied_again(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    for name in ("alice", "bob"):
        await repository.add_user(name, Credential(f"$argon2id${name}", "v1"), by=OPERATOR)
        await repository.attend()
        behind_the_scenes.flushall()
        with pytest.raises(StoreEmptied):
            await repository.attend()
        assert await repository.accept(by=OPERATOR) == 1
        await repository.attend()


async def test_store_where_nothing_is_missed_has_nothing_to_accept(repository: StateRepository) -> None:
    await repository.add_user("alice", CREDENTIAL, by=OPERATOR)
    assert await repository.accept(by=OPERATOR) == 0


def test_mark_that_says_nothing_is_none(tmp_path: Path) -> None:
    assert read_mark(str(tmp_path)) == ""
    (tmp_path / MARK).write_bytes(b"\xff\x00" * 5000)
    assert read_mark(str(tmp_path)) == ""
    write_mark(str(tmp_path), ANOTHER)
    assert read_mark(str(tmp_path)) == ANOTHER
    assert [path.name for path in tmp_path.iterdir()] == [MARK]


def test_mark_that_another_container_is_writing_keeps_ours_from_nothing(tmp_path: Path) -> None:
    # The processes of two containers on one volume often have the same number.
    theirs = tmp_path / f"{MARK}.{os.getpid()}"
    theirs.touch()
    write_mark(str(tmp_path), ANOTHER)
    assert read_mark(str(tmp_path)) == ANOTHER
    assert theirs.exists()
