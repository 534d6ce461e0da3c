"""One look at the store for all sessions that ask at the same moment, and never an older one."""

import asyncio

import pytest

from peep_gateway import questions as questions_module
from peep_gateway.protocol.commands import AVAILABLE, Command, State
from peep_gateway.questions import QUESTIONS, Question, Questions, View
from state_store.errors import LeaseLapsed, StoreUnavailable
from state_store.memory_repository import MemoryRepository
from state_store.records import Counters, Credential


class WatchedRepository(MemoryRepository):
    """Counts the looks at its counters, and shows them only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = 0
        self.looks = 0
        self.given_up = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    async def counters(self) -> Counters:
        self.looks += 1
        shown = Counters(current_connections=self.connections)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.error is not None:
            raise self.error
        return shown


class Session:
    """Somebody who asks one question."""

    def __init__(self, questions: Questions, commencement: str) -> None:
        self.command: Command = AVAILABLE[State.AUTHENTICATED][commencement.encode()]
        self.question: Question = QUESTIONS[commencement]
        self._questions = questions
        self._told: asyncio.Future[View] = asyncio.get_running_loop().create_future()
        questions.ask(self.question, self.told)

    def told(self, view: View) -> None:
        self._told.set_result(view)

    def give_up(self) -> None:
        self._questions.give_up(self.question, self.told)

    @property
    def is_told(self) -> bool:
        return self._told.done()

    async def reply(self) -> bytes:
        async with asyncio.timeout(5):
            return (await self._told).reply(self.command)


@pytest.fixture
async def repository() -> WatchedRepository:
    return WatchedRepository()


async def looked(repository: WatchedRepository, times: int) -> None:
    async with asyncio.timeout(5):
        while repository.looks < times:
            await asyncio.sleep(0)


async def test_sessions_that_ask_in_one_turn_share_one_look(repository: WatchedRepository) -> None:
    repository.connections = 7
    questions = Questions(repository)
    sessions = [Session(questions, commencement) for commencement in ["cc?", "hc?", "rb?"] * 20]
    replies = [await session.reply() for session in sessions]
    assert replies == [b"+7\r\n", b"+0\r\n", b"+0\r\n"] * 20
    assert repository.looks == 1


async def test_who_asks_while_a_look_is_under_way_is_told_what_the_next_one_shows(
    repository: WatchedRepository,
) -> None:
    """P15: the look that is under way may have seen the state before the question was asked."""
    repository.may_answer.clear()
    questions = Questions(repository)
    early = Session(questions, "cc?")
    await looked(repository, 1)
    repository.connections = 1
    late = [Session(questions, "cc?") for _ in range(2)]
    repository.may_answer.set()
    assert await early.reply() == b"+0\r\n"
    assert [await session.reply() for session in late] == [b"+1\r\n"] * 2
    assert repository.looks == 2


async def test_nothing_is_kept_for_who_asks_later(repository: WatchedRepository) -> None:
    questions = Questions(repository)
    for connections in range(3):
        repository.connections = connections
        assert await Session(questions, "cc?").reply() == b"+%d\r\n" % connections
    assert repository.looks == 3


async def test_different_looks_do_not_wait_for_each_other(repository: WatchedRepository) -> None:
    repository.may_answer.clear()
    questions = Questions(repository)
    slow = Session(questions, "cc?")
    assert await Session(questions, "c?").reply() == b"+1000\r\n"
    assert await Session(questions, "u?").reply() == b"+0\r\n"
    assert not slow.is_told
    repository.may_answer.set()
    assert await slow.reply() == b"+0\r\n"


async def test_store_that_is_away_is_told_to_everybody_who_asked(repository: WatchedRepository) -> None:
    """P16."""
    repository.error = StoreUnavailable("connection refused")
    questions = Questions(repository)
    sessions = [Session(questions, "cc?") for _ in range(3)]
    assert [await session.reply() for session in sessions] == [b"-8\r\n"] * 3
    repository.error = None
    assert await Session(questions, "cc?").reply() == b"+0\r\n"


async def test_error_that_no_reply_tells_is_raised_to_everybody_who_asked(
    repository: WatchedRepository,
) -> None:
    repository.error = LeaseLapsed(counts_taken=False)
    questions = Questions(repository)
    for session in [Session(questions, "cc?") for _ in range(3)]:
        with pytest.raises(LeaseLapsed):
            await session.reply()


async def test_look_that_nobody_waits_for_any_more_is_given_up(repository: WatchedRepository) -> None:
    repository.may_answer.clear()
    questions = Questions(repository)
    gone, staying = Session(questions, "cc?"), Session(questions, "cc?")
    await looked(repository, 1)
    gone.give_up()
    await asyncio.sleep(0)
    assert repository.given_up == 0
    staying.give_up()
    late = Session(questions, "cc?")
    await looked(repository, 2)
    assert repository.given_up == 1
    repository.may_answer.set()
    assert await late.reply() == b"+0\r\n"
    assert not gone.is_told
    assert not staying.is_told


async def test_who_gives_up_before_the_look_begins_costs_none(repository: WatchedRepository) -> None:
    questions = Questions(repository)
    Session(questions, "cc?").give_up()
    assert await Session(questions, "c?").reply() == b"+1000\r\n"
    assert repository.looks == 0


async def test_long_list_is_put_into_wire_form_in_several_turns(
    repository: WatchedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions_module, "LINES_A_TURN", 3)
    for count in range(8):
        questions = Questions(repository)
        listed = [f"user{number}" for number in range(count)]
        wanted = [f"+{count}", *listed, ""]
        assert await Session(questions, "u?").reply() == "\r\n".join(wanted).encode()
        await repository.add_user(f"user{count}", Credential("no hash", "v1"))
