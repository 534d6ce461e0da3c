"""One query of the store for all sessions that ask at the same moment, and never an older result."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from peep_gateway import queries as queries_module
from peep_gateway.protocol.replies import Answer, Lines
from peep_gateway.queries import Queries
from state_store.errors import LeaseLapsed, StoreUnavailable
from state_store.records import Counters, Credential
from state_store.repository import StateRepository
from support.actors import OPERATOR


class WatchedRepository(StateRepository):
    """Counts the queries of its counters, and answers them only when it may."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.connections = 0
        self.queries = 0
        self.cancelled = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    async def counters(self) -> Counters:
        self.queries += 1
        shown = Counters(current_connections=self.connections)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return shown


class Caller:
    """A session that sends one query."""

    def __init__(self, queries: Queries, commencement: str) -> None:
        self._asking = asyncio.create_task(queries.answer(commencement))

    def leave(self) -> None:
        self._asking.cancel()

    @property
    def is_answered(self) -> bool:
        return self._asking.done() and not self._asking.cancelled()

    async def answer(self) -> Answer:
        async with asyncio.timeout(20):
            return await self._asking


@pytest.fixture
async def repository(redis_url: str) -> AsyncIterator[WatchedRepository]:
    made = WatchedRepository(redis_url)
    yield made
    await made.close()


async def queried(repository: WatchedRepository, times: int) -> None:
    async with asyncio.timeout(20):
        while repository.queries < times:
            await asyncio.sleep(0)


async def test_sessions_that_ask_in_one_turn_share_one_query(repository: WatchedRepository) -> None:
    repository.connections = 7
    queries = Queries(repository)
    callers = [Caller(queries, commencement) for commencement in ["cc?", "hc?", "rb?"] * 20]
    assert [await caller.answer() for caller in callers] == [7, 0, 0] * 20
    assert repository.queries == 1


async def test_callers_that_arrive_while_a_query_runs_share_the_next_one(
    repository: WatchedRepository,
) -> None:
    """P15: the query that runs may have read the state before they asked."""
    repository.may_answer.clear()
    queries = Queries(repository)
    early = Caller(queries, "cc?")
    await queried(repository, 1)
    repository.connections = 1
    late = [Caller(queries, "cc?") for _ in range(2)]
    await asyncio.sleep(0)
    repository.may_answer.set()
    assert await early.answer() == 0
    assert [await caller.answer() for caller in late] == [1, 1]
    assert repository.queries == 2


async def test_no_result_is_kept_for_later_callers(repository: WatchedRepository) -> None:
    queries = Queries(repository)
    for connections in range(3):
        repository.connections = connections
        assert await Caller(queries, "cc?").answer() == connections
    assert repository.queries == 3


async def test_queries_of_different_kinds_do_not_wait_for_each_other(repository: WatchedRepository) -> None:
    repository.may_answer.clear()
    queries = Queries(repository)
    slow = Caller(queries, "cc?")
    assert await Caller(queries, "c?").answer() == 1000
    assert await Caller(queries, "u?").answer() == Lines(b"+0\r\n")
    assert not slow.is_answered
    repository.may_answer.set()
    assert await slow.answer() == 0


@pytest.mark.parametrize("error", [StoreUnavailable("connection refused"), LeaseLapsed(counts_taken=False)])
async def test_error_of_a_query_is_raised_to_all_its_callers(
    repository: WatchedRepository, error: Exception
) -> None:
    repository.error = error
    queries = Queries(repository)
    for caller in [Caller(queries, "cc?") for _ in range(3)]:
        with pytest.raises(type(error)):
            await caller.answer()
    repository.error = None
    assert await Caller(queries, "cc?").answer() == 0


async def test_query_is_cancelled_with_its_last_caller(repository: WatchedRepository) -> None:
    repository.may_answer.clear()
    queries = Queries(repository)
    first, last = Caller(queries, "cc?"), Caller(queries, "cc?")
    await queried(repository, 1)
    first.leave()
    for _ in range(3):
        await asyncio.sleep(0)
    assert repository.cancelled == 0
    last.leave()
    late = Caller(queries, "cc?")
    await queried(repository, 2)
    assert repository.cancelled == 1
    repository.may_answer.set()
    assert await late.answer() == 0
    assert not first.is_answered
    assert not last.is_answered


async def test_caller_that_leaves_before_its_query_begins_costs_none(repository: WatchedRepository) -> None:
    queries = Queries(repository)
    caller = Caller(queries, "cc?")
    await asyncio.sleep(0)
    caller.leave()
    assert await Caller(queries, "c?").answer() == 1000
    assert repository.queries == 0


async def test_long_list_is_encoded_in_several_turns(
    repository: WatchedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_module, "LINES_A_TURN", 3)
    for count in range(8):
        wanted = [f"+{count}", *(f"user{number}" for number in range(count)), ""]
        assert await Queries(repository).answer("u?") == Lines("\r\n".join(wanted).encode())
        await repository.add_user(f"user{count}", Credential("no-hash", "v1"), by=OPERATOR)
