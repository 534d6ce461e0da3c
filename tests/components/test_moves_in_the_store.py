"""What the store remembers of moves: one process has each, as long as its lease holds."""

import pytest
import redis

from state_store.errors import UnknownUser
from state_store.moves import Move, MoveCounts, MoveOutcome, MoveProgress, MoveState
from state_store.records import Credential, Exchange, Instance, Login, LoginOutcome
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR

HERE, THERE = "aaaa-1", "bbbb-1"


@pytest.fixture
async def store(repository: StateRepository) -> StateRepository:
    for instance in (HERE, THERE):
        await repository.register_instance(Instance(instance, "host", 1, "1", 0.0))
    await repository.announce_source("old.example.org:995", by=OPERATOR)
    return repository


async def begun(store: StateRepository, username: str, instance: str, maildir: str = "1") -> MoveOutcome:
    outcome, _ = await store.begin_move(username, instance, maildir)
    return outcome


async def moves(store: StateRepository) -> list[tuple[str, MoveState, MoveProgress, str]]:
    return [(one.username, one.state, one.progress, one.reason) for one in await store.moves()]


async def test_one_process_has_a_move_and_the_other_is_told_how_far_it_is(store: StateRepository) -> None:
    assert await begun(store, "alice", HERE) is MoveOutcome.BEGUN
    assert await store.note_move("alice", HERE, MoveProgress(3, 10))
    assert await store.begin_move("alice", THERE, "1") == (MoveOutcome.ELSEWHERE, MoveProgress(3, 10))
    assert not await store.note_move("alice", THERE, MoveProgress(1, 1))
    assert await store.move_progress("alice") == MoveProgress(3, 10)
    assert await store.move_progress("bob") is None
    assert await moves(store) == [("alice", MoveState.MOVING, MoveProgress(3, 10), "")]
    (move,) = await store.moves()
    assert isinstance(move, Move)
    assert move.at > 1_000_000_000


async def test_move_of_a_dead_process_is_interrupted_and_another_one_takes_it(store: StateRepository) -> None:
    await begun(store, "alice", HERE)
    await store.end_instance(HERE)
    assert await moves(store) == [("alice", MoveState.INTERRUPTED, MoveProgress(), "")]
    assert await store.move_counts() == MoveCounts("old.example.org:995", interrupted=1)
    assert await begun(store, "alice", HERE) is MoveOutcome.LAPSED
    assert await begun(store, "alice", THERE) is MoveOutcome.BEGUN
    assert not await store.note_move("alice", HERE, MoveProgress(9, 9))
    await store.end_move("alice", HERE, "1", MoveProgress(9, 9), "late")
    assert await store.move_counts() == MoveCounts("old.example.org:995", moving=1)


async def test_failed_move_has_its_reason_until_it_begins_anew(store: StateRepository) -> None:
    await begun(store, "alice", HERE)
    await store.end_move(
        "alice", HERE, "1", MoveProgress(2, 4), "the old server: it has closed the connection"
    )
    assert await moves(store) == [
        ("alice", MoveState.FAILED, MoveProgress(2, 4), "the old server: it has closed the connection")
    ]
    assert await store.move_counts() == MoveCounts("old.example.org:995", failed=1)
    assert await begun(store, "alice", THERE) is MoveOutcome.BEGUN
    assert await store.move_counts() == MoveCounts("old.example.org:995", moving=1)


async def test_user_whose_mail_is_here_is_not_moved_again(store: StateRepository) -> None:
    await begun(store, "alice", HERE)
    assert not await store.is_closed_to_moves("alice")
    await store.end_move("alice", HERE, "1", MoveProgress(4, 4))
    assert await store.is_closed_to_moves("alice")
    assert await begun(store, "alice", HERE) is MoveOutcome.CLOSED
    assert await store.move_counts() == MoveCounts("old.example.org:995", moved=1)
    assert await moves(store) == []


async def test_user_who_is_there_is_not_moved(store: StateRepository) -> None:
    await store.add_user("alice", Credential("hash", "1"), by=OPERATOR)
    assert await begun(store, "alice", HERE) is MoveOutcome.KNOWN


async def test_removed_user_is_not_brought_back_and_counts_as_none(store: StateRepository) -> None:
    await store.add_user("alice", Credential("hash", "1"), by=OPERATOR)
    await store.remove_user("alice", by=OPERATOR)
    with pytest.raises(UnknownUser):
        await store.remove_user("bob", by=OPERATOR)
    assert await store.is_closed_to_moves("alice")
    assert not await store.is_closed_to_moves("bob")
    assert await store.move_counts() == MoveCounts("old.example.org:995")


async def test_without_an_old_server_removed_users_are_not_remembered(
    repository: StateRepository, behind_the_scenes: redis.Redis
) -> None:
    await repository.add_user("alice", Credential("hash", "1"), by=OPERATOR)
    await repository.remove_user("alice", by=OPERATOR)
    assert not behind_the_scenes.exists(keys.MOVED)
    assert await repository.move_counts() == MoveCounts()


async def test_process_that_dies_after_it_has_added_the_user_leaves_a_finished_move(
    store: StateRepository,
) -> None:
    await begun(store, "alice", HERE)
    await store.add_user("alice", Credential("hash", "1"), by=OPERATOR)
    await store.end_instance(HERE)
    assert await moves(store) == []
    assert await store.move_counts() == MoveCounts("old.example.org:995", moved=1)


async def locked(store: StateRepository, username: str, session: str, maildir: str) -> LoginOutcome:
    login = Login(username, session, "1", "192.0.2.1", maildir=maildir)
    return (await store.exchange(Exchange(THERE, 1, logins=[login]))).logins[0]


async def test_maildir_is_locked_while_mail_is_moved_there(store: StateRepository) -> None:
    await store.add_user("bob", Credential("hash", "1"), by=OPERATOR)
    await begun(store, "alice", HERE, "17")
    assert await locked(store, "bob", "s1", "17") is LoginOutcome.IN_USE
    await store.end_move("alice", HERE, "17", MoveProgress(), "away")
    assert await locked(store, "bob", "s2", "17") is LoginOutcome.OPENED
    assert await begun(store, "alice", HERE, "17") is MoveOutcome.IN_USE


async def test_lock_of_a_dead_process_does_not_outlast_it(store: StateRepository) -> None:
    await store.add_user("bob", Credential("hash", "1"), by=OPERATOR)
    await begun(store, "alice", HERE, "17")
    await store.end_instance(HERE)
    assert await locked(store, "bob", "s1", "17") is LoginOutcome.OPENED
